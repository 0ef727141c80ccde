#!/usr/bin/env python3
"""Holds every CBOR structure in a bundle against docs/evidence.cddl, with a CDDL tool that is not Farhand's.

    cddl.py FILE

Leaves first, then whatever stands inside them: opening, proofs, transactions, segments, statements, manifest, trust root.
The first of each kind is also altered, one value of another type at a time, and must be refused each time. Whether
signatures, hashes and chains hold is verify.py's to say. Exit code: 0 all conform, 1 one does not, 2 it could not be read.
"""

import argparse
import contextlib
import io
import pathlib
import re
import sys
from collections import Counter

import cbor2

# zcbor asks for an error by the name that cbor2 had for it before version 6; this is its parent, which is still there.
cbor2.CBORDecodeValueError = getattr(cbor2, "CBORDecodeValueError", cbor2.CBORDecodeError)

from zcbor import CddlValidationError, DataTranslator

import verify

CONTRACT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "evidence.cddl"
LEAVES = (
    "opening", "command", "surgeon segment", "kit segment", "frame", "display report", "statement", "kit state",
    "overlay", "engagement", "region", "switch", "gap", "clock", "proof", "personal", "restarted", "closed",
)
EVENTS = (
    "grant", "opening", "roster addition", "consent", "custody", "checkpoint", "model", "hand-over", "seal", "export",
    "epoch end",
)
STATEMENTS = (
    "endorse", "fingerprint", "e-stop", "clear e-stop", "arm", "disarm", "home", "withdraw", "lease request",
    "lease grant", "lease confirm", "hand-over", "take-over", "notice", "refused", "close", "withdraw consent",
    "forbid",
)
# Rules with a choice in them: where it stands, the rule it follows (in the order of its numbers), and what these mean.
CHOICES = {
    "leaf": (3, "what", LEAVES), "transaction": (2, "event", EVENTS), "statement": (1, "said", STATEMENTS),
}
SEGMENTS = {2: "surgeon-segment", 3: "kit-segment", 5: "display-report", 6: "statement"}


class Nonconforming(Exception):
    """Something in the bundle is not what the contract says, or the contract takes what it should not."""


def read_rules():
    text = re.sub(r";.*", "", CONTRACT.read_text(encoding="utf-8"))
    # zcbor takes a field's name that is also a rule's for a key in a map. There are no maps: every name becomes another.
    text = re.sub(r"([\w-]+)\s*:", r"field-\1:", text)
    return DataTranslator.from_cddl(text, 2**32).my_types


def octets(value):
    """The value with one character for each byte of a text: sizes are in bytes (RFC 8610 section 3.8.1), zcbor counts
    characters."""
    if type(value) is str:
        return value.encode().decode("latin-1")
    return [octets(item) for item in value] if type(value) is list else value


def with_another_type(value):
    """What is most easily taken for it by mistake, and no longer or shorter."""
    if type(value) is bytes:
        return "0" * len(value)
    if type(value) is str:
        return value.encode()
    return int(value) if type(value) is bool else b"" if type(value) is list else "0"


def alterations(value):
    """Copies of the value, each with one thing in it, or all of it, of another type."""
    yield with_another_type(value)
    if type(value) is list:
        for at, item in enumerate(value):
            for other in alterations(item):
                yield value[:at] + [other] + value[at + 1:]


class Contract:
    def __init__(self):
        self.rules, self.conform, self.refused = read_rules(), Counter(), 0

    def why_not(self, rule, value):
        """Why the value does not follow the rule, or None."""
        try:
            # zcbor prints what it thought of every other choice.
            with contextlib.redirect_stdout(io.StringIO()):
                rule.validate_obj(octets(value))
        except CddlValidationError as error:
            return " ".join(str(error).split())[:300]
        finally:
            for each in self.rules.values():
                each.errors.clear()  # it keeps them for ever
        return None

    def check(self, rule, data, where):
        """The value in these bytes, if they follow the rule."""
        try:
            value = verify.decode(data, lambda value: None)
        except verify.Malformed as error:
            raise Nonconforming(f"{where}, {rule}: {error}") from error
        kind, choice, part = self.chosen(rule, value)
        reason = self.why_not(self.rules[rule], value)
        if reason:
            # Of a choice as a whole there is only to say that nothing fits; what was chosen knows more.
            closer = self.why_not(choice, part) if choice else None
            raise Nonconforming(f"{where}, {kind}: {closer or reason}")
        if not self.conform[kind]:
            self.check_refusals(rule, value, f"{where}, {kind}")
        self.conform[kind] += 1
        return value

    def chosen(self, rule, value):
        """What kind of thing this is; where it has a choice in it, that one's rule and the part that follows it."""
        if rule not in CHOICES:
            return rule, None, None
        at, choice, names = CHOICES[rule]
        try:
            number = value[at][0]
            if type(number) is int and 0 <= number < len(names):
                return f"{rule} {number} {names[number]}", self.rules[choice].value[number], value[at]
        except (IndexError, KeyError, TypeError):
            number = "none"
        return f"{rule} of no known kind: {number!r:.20}", None, None

    def check_refusals(self, rule, value, where):
        for altered in alterations(value):
            if self.why_not(self.rules[rule], altered) is None:
                raise Nonconforming(f"{where}: conforms even as {str(altered)[:300]}")
            self.refused += 1

    def check_body(self, rule, envelope, where):
        if not 98 <= len(envelope) <= 16384 or envelope[:2] != b"\x10\x01":
            raise Nonconforming(f"{where}, {rule}: not in a signed envelope")
        self.check(rule, envelope[98:], where)

    def check_proof(self, data, where):
        proof = self.check("transaction-proof", data, where)
        self.check_body("transaction", proof[3], where)

    def check_leaf(self, number, data):
        where = f"leaf {number}"
        if data[:2] == b"\x58\x20":
            return self.check("redacted", data, where)
        kind, *fields = self.check("leaf", data, where)[3]
        if kind == verify.OPENED:
            opening, consent, custody = self.check("opening-evidence", fields[0], where)
            for proof in [opening, consent, *custody]:
                self.check_proof(cbor2.dumps(proof), where)
        elif kind == verify.A_PROOF:
            self.check_proof(fields[0], where)
        elif kind in SEGMENTS:
            self.check_body(SEGMENTS[kind], fields[0], where)

    def check_attachments(self, manifest, proofs):
        _, _, trust, _, _ = self.check("manifest", manifest, "the attachment")
        first = cbor2.dumps(cbor2.load(io.BytesIO(trust)), canonical=True)
        self.check("trust-root", first, "the manifest")
        for number, proof in enumerate(verify.split_proofs(trust[len(first):]) if trust != first else []):
            self.check_proof(proof, f"the end of epoch {number}")
        for number, proof in enumerate(verify.split_proofs(proofs)):
            self.check_proof(proof, f"proof {number}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    arguments = parser.parse_args()
    contract = Contract()
    try:
        with open(arguments.file, "rb") as file:
            for number, (data, _) in enumerate(verify.contents(file)):
                contract.check_leaf(number, data)
            contract.check_attachments(*verify.read_attachments(file))
    except Nonconforming as error:
        sys.exit(f"does not conform: {error}")
    except Exception as error:  # a file from outside: whatever goes wrong in reading it is the answer
        print(f"unreadable: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
    for kind, count in sorted(contract.conform.items(), key=lambda one: [word.zfill(2) for word in one[0].split()]):
        print(f"{count:8} {kind}")
    print(f"all {contract.conform.total()} conform; {contract.refused} that were altered are refused")


if __name__ == "__main__":
    main()
