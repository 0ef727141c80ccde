#!/usr/bin/env python3
"""Verifies a Farhand session's bundle, offline. Follows docs/evidence-format.md and shares no code with Farhand.

    verify.py FILE [--trust GENESIS] [--keys VAULT] [--json]

Exit code: 0 it holds, 1 it does not, 2 it could not be read, 3 self-consistent but not trusted. Section numbers in
comments are those of the document.
"""

import argparse
import base64
import hashlib
import io
import json
import math
import struct
import sys
import zlib

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from mcap.data_stream import ReadDataStream
from mcap.reader import make_reader
from mcap.records import Channel, Chunk, Message, Schema
from mcap.stream_reader import StreamReader, breakup_chunk

ZERO = bytes(32)


def sha(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


# ---- 1. CBOR: shapes of the contract ------------------------------------------------------------------------------

class Malformed(Exception):
    """Bytes that are not what they should be."""


class UnknownKind(Malformed):
    """A leaf of a kind that this verifier does not know."""


def uint(most=2**64 - 1, least=0):
    def check(value):
        if type(value) is not int or not least <= value <= most:
            raise Malformed(f"{value!r} is no number from {least} to {most}")
    return check


def bstr(least, most=None):
    def check(value):
        if type(value) is not bytes or not least <= len(value) <= (least if most is None else most):
            raise Malformed("bytes of another length")
    return check


def tstr(least, most):
    def check(value):
        if type(value) is not str or not least <= len(value.encode()) <= most:
            raise Malformed("text of another length")
    return check


def boolean(value):
    if type(value) is not bool:
        raise Malformed("no boolean")


def signed_int(value, bits=64):
    if type(value) is not int or not -2 ** (bits - 1) <= value < 2 ** (bits - 1):
        raise Malformed(f"no {bits}-bit number")


def offset(value):
    signed_int(value)
    if abs(value) > 86_400_000_000:
        raise Malformed("off by more than a day")


def exactly(wanted):
    def check(value):
        if type(value) is not type(wanted) or value != wanted:
            raise Malformed(f"{value!r}, expected {wanted!r}")
    return check


def struct_of(*fields):
    def check(value):
        if type(value) is not list or len(value) != len(fields):
            raise Malformed("a struct with other fields")
        for field, item in zip(fields, value):
            field(item)
    return check


def list_of(item, least, most):
    def check(value):
        if type(value) is not list or not least <= len(value) <= most:
            raise Malformed("a list of another length")
        for one in value:
            item(one)
    return check


def choice(*variants):
    def check(value):
        if type(value) is not list or not value or type(value[0]) is not int:
            raise Malformed("no choice")
        if not 0 <= value[0] < len(variants):
            raise UnknownKind(f"kind {value[0]} is not known")
        struct_of(exactly(value[0]), *variants[value[0]])(value)
    return check


def variant(variants):
    """A choice whose fields stand in an array of their own."""
    def check(value):
        struct_of(uint(len(variants) - 1), lambda fields: struct_of(*variants[value[0]])(fields))(value)
    return check


TRUST_BYTES = 1_048_576
U64, U32, HASH, ID, KEY = uint(), uint(2**32 - 1), bstr(32), bstr(16), bstr(32)
NAME, REASON, SIGNED = tstr(1, 64), tstr(0, 512), bstr(98, 16384)
NUMBER = uint(least=1)
UTC = struct_of(uint(4_133_980_799_999_999), uint(86_400_000_000))
MEMBER = struct_of(KEY, uint(6), NAME)
EVENT = choice(
    [struct_of(KEY, uint(6), NAME, U64)],
    [struct_of(ID, list_of(MEMBER, 1, 16), KEY, KEY, HASH, HASH, HASH, HASH)],
    [struct_of(ID, MEMBER)],
    [struct_of(ID, HASH, boolean)],
    [struct_of(KEY, NUMBER, choice([], [], [], [], [], [], [KEY]), HASH)],
    [struct_of(ID, NUMBER, HASH, HASH, U64, U64)],
    [struct_of(ID, HASH, NAME)],
    [struct_of(ID, U64, KEY, KEY)],
    [struct_of(ID, U64, HASH, HASH, U64, U64)],
    [struct_of(ID, HASH, U64)],
    [struct_of(HASH, bstr(0, 16384), list_of(bstr(0, 16384), 1, 64))],
)
TRANSACTION = struct_of(ID, UTC, EVENT)
BATCH_HEADER = struct_of(ID, UTC, uint(4096))
PATH = list_of(HASH, 0, 65)
COMMIT = struct_of(list_of(bstr(0, 8192), 3, 64), bstr(0, 8192))
PROOF = struct_of(BATCH_HEADER, PATH, U64, bstr(0, 16384), PATH, COMMIT)
OPENING = struct_of(PROOF, PROOF, list_of(PROOF, 0, 64))
ENDORSEMENT = struct_of(HASH, HASH)
EPOCH = struct_of(
    exactly("farhand trust root v1"), ID, uint(least=1),
    list_of(struct_of(KEY, uint(2**32, 1)), 5, 64), list_of(KEY, 1, 64), U64,
)
MANIFEST = struct_of(
    exactly("farhand manifest v1"), ID, bstr(0, TRUST_BYTES), uint(1), list_of(struct_of(NAME, HASH), 0, 64)
)
FRAME = struct_of(U64, U32, U64, U64, boolean, HASH, HASH, U64)
GAP = struct_of(uint(4), U64, U64, U64, REASON)
CLOSING = struct_of(U64, U64, U64, U64, U64, U64, REASON)
WHAT = choice(
    [bstr(0, 1024 * 1024)], [bstr(152)], [bstr(0, 16384)], [bstr(0, 16384)], [FRAME], [bstr(0, 16384)],
    [bstr(0, 16384)], [bstr(428)], [U64, HASH, HASH], [U64, U64, U64, U64], [U64, bstr(0, 65536)],
    [NAME, boolean, REASON], [GAP], [UTC, NAME, offset], [bstr(0, 512 * 1024)], [HASH], [REASON], [CLOSING],
)
VAULT = struct_of(
    exactly("farhand vault v1"),
    list_of(struct_of(tstr(0, 64), HASH, choice([bstr(32), bstr(16), bstr(0, 61440)], [UTC, REASON])), 0, 64),
)
LEAF = struct_of(bstr(16), U64, U64, WHAT)
LINK = struct_of(ID, NUMBER, HASH)
SURGEON_SEGMENT = struct_of(LINK, U64, list_of(struct_of(U64, HASH), 0, 256))
OUTCOME = choice([], [U32, signed_int, signed_int])
KIT_SEGMENT = struct_of(LINK, ID, U64, U64, U64, U64, list_of(struct_of(U64, U64, OUTCOME), 0, 256))
DISPLAY_REPORT = struct_of(LINK, list_of(struct_of(U64, HASH, U64, U64), 0, 256))
TRANSCRIPT = struct_of(ID, U64, ID, KEY, KEY, KEY, KEY)
BYTE, TEXT = uint(255), tstr(0, 16384)


def i32(value):
    signed_int(value, 32)


TRIPLE, TURN = list_of(i32, 3, 3), list_of(i32, 4, 4)
ARM = struct_of(TEXT, uint(1), TRIPLE, TURN)
FORBIDDEN = ([TRIPLE, TRIPLE, i32], [TRIPLE, TRIPLE], [TRIPLE, TURN, TRIPLE])
NOTICE = [
    ID, U64, HASH, BYTE, BYTE, BYTE, list_of(ARM, 0, 512), U64, lambda holder: holder is None or KEY(holder),
    list_of(KEY, 0, 512), list_of(ID, 0, 1024), TEXT, boolean,
]


def notice(value):
    """Its last field, the regions' version, may be absent."""
    regions = [U64] if type(value) is list and len(value) > len(NOTICE) else []
    struct_of(*NOTICE, *regions)(value)


SAID = (
    [KEY], [HASH, HASH], [ID], [HASH], [HASH], [], [HASH], [HASH], [HASH, KEY], [TRANSCRIPT], [TRANSCRIPT], [U64, KEY],
    [HASH, KEY], [notice], [KEY, TEXT], [], [], [HASH, U64, list_of(variant(FORBIDDEN), 0, 512)],
)
said = variant(SAID)
(OPENED, COMMAND, SURGEON, KIT_LIST, A_FRAME, DISPLAY, STATEMENT, KIT_STATE, A_GAP, CLOCK, A_PROOF, RESTARTED,
 CLOSED) = (0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 16, 17)


def decode(data, shape):
    """The value in deterministic CBOR, if it has that shape."""
    stream = io.BytesIO(data)
    try:
        value = cbor2.load(stream)
        again = cbor2.dumps(value, canonical=True)
    except Exception as error:  # whatever the decoder says of bytes that are no CBOR
        raise Malformed(f"no CBOR: {error}") from error
    if again != data:
        raise Malformed("not deterministic CBOR")
    shape(value)
    return value


# ---- 2. Merkle trees ----------------------------------------------------------------------------------------------

def leaf_hash(leaf):
    return sha(b"\0", leaf)


def node_hash(left, right):
    return sha(b"\1", left, right)


class Tree:
    """A growing tree: the roots of its perfect subtrees, the largest first."""

    def __init__(self):
        self.size, self.peaks = 0, []

    def append(self, leaf):
        size = self.size
        while size & 1:
            leaf = node_hash(self.peaks.pop(), leaf)
            size >>= 1
        self.peaks.append(leaf)
        self.size += 1

    def root(self):
        if not self.peaks:
            return sha()
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root


def root_of(leaf, index, size, path):
    """RFC 9162 section 2.1.3.2."""
    if index >= size:
        return None
    node, last = index, size - 1
    for sibling in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            leaf = node_hash(sibling, leaf)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            leaf = node_hash(leaf, sibling)
        node, last = node >> 1, last >> 1
    return leaf if last == 0 else None


# ---- 3. Signatures and envelopes ----------------------------------------------------------------------------------

FIELD = 2**255 - 19
SMALL = {  # y coordinates of points of small order, in every encoding
    0, 1, FIELD - 1, FIELD, FIELD + 1,
    int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"),
    int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"),
}


def is_small(point):
    return int.from_bytes(point, "little") & (2**255 - 1) in SMALL


def is_signed(key, signature, message):
    if is_small(key) or is_small(signature[:32]):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def is_key(key):
    """Whether these bytes are a point of the curve, and not one of small order."""
    y = int.from_bytes(key, "little") & (2**255 - 1)
    d = -121665 * pow(121666, FIELD - 2, FIELD) % FIELD
    square = (y * y - 1) * pow(d * y * y + 1, FIELD - 2, FIELD) % FIELD
    return not is_small(key) and pow(square, (FIELD - 1) // 2, FIELD) in (0, 1)


def open_envelope(data, domain):
    """Author and body."""
    if not 98 <= len(data) <= 16384 or data[:2] != b"\x10\x01":
        raise Malformed("no signed envelope")
    author, signature, body = data[2:34], data[34:98], data[98:]
    if not is_signed(author, signature, domain + b"\0" + author + body):
        raise Malformed("not signed by its author")
    return author, body


def open_transaction(data):
    author, body = open_envelope(data, b"farhand/v1 transaction")
    return author, decode(body, TRANSACTION)


# ---- 4. The trust root --------------------------------------------------------------------------------------------

class Epoch:
    def __init__(self, data):
        if len(data) > 16384:
            raise Malformed("too long")
        _, self.ledger, self.chain, validators, self.hospitals, self.number = decode(data, EPOCH)
        self.hash = sha(data)
        self.validators = [tuple(one) for one in validators]
        for keys in ([key for key, _ in validators], self.hospitals):
            if any(one >= other for one, other in zip(keys, keys[1:])):
                raise Malformed("keys are not in ascending order")
            if not all(map(is_key, keys)):
                raise Malformed("a key that is none")
        power = sum(power for _, power in validators)
        self.quorum = 2 * power // 3 + 1
        if any(power - one < self.quorum for _, one in validators):
            raise Malformed("one validator is needed for every quorum")

    def check_endorsed(self, next_one, endorsements):
        """By a quorum of this epoch's validators (4.1)."""
        newest, power = b"", 0
        for data in endorsements:
            author, body = open_envelope(data, b"farhand/v1 epoch end")
            one = dict(self.validators).get(author)
            if one is None or author <= newest:
                raise Malformed("an endorsement by a stranger, or out of order")
            if decode(body, ENDORSEMENT) != [self.hash, next_one.hash]:
                raise Malformed("something else was endorsed")
            newest, power = author, power + one
        if power < self.quorum:
            raise Malformed(f"power {power} endorsed the next epoch, {self.quorum} is a quorum")


class Trust:
    """The first epoch and those that were proven to follow."""

    def __init__(self, data):
        if len(data) > TRUST_BYTES:
            raise Malformed("too long")
        try:
            first = cbor2.dumps(cbor2.load(io.BytesIO(data)), canonical=True)
        except Exception as error:  # as in decode
            raise Malformed(f"no CBOR: {error}") from error
        if not data.startswith(first):
            raise Malformed("not deterministic CBOR")
        self.epochs, self.ends = [Epoch(first)], []
        self.fingerprint, self.ledger = self.epochs[0].hash, self.epochs[0].ledger
        if self.epochs[0].number != 0:
            raise Malformed("it does not begin with the ledger's first epoch")
        rest = data[len(first):]
        try:
            proofs = split_proofs(rest) if rest else []
        except Exception as error:  # as above
            raise Malformed(f"no proofs: {error}") from error
        for proof in proofs:
            self.end(Proven(decode(proof, PROOF), self))

    def end(self, proven):
        ending = self.epochs[-1]
        previous, data, endorsements = proven.expect(10)
        following = Epoch(data)
        if (proven.position[0] != ending.number or previous != ending.hash
                or following.ledger != self.ledger or following.number != ending.number + 1
                or any(following.chain == epoch.chain for epoch in self.epochs)):
            raise Malformed("an epoch that does not follow")
        ending.check_endorsed(following, endorsements)
        self.epochs.append(following)
        self.ends.append(proven.position)

    def epoch_of(self, chain):
        for epoch in self.epochs:
            if epoch.chain == chain:
                return epoch
        raise Malformed("a certificate of another chain")

    def leads_to(self, other):
        hashes = [epoch.hash for epoch in self.epochs]
        return hashes == [epoch.hash for epoch in other.epochs[:len(hashes)]]


# ---- 5. Blocks ----------------------------------------------------------------------------------------------------

class Certificate:
    def __init__(self, data, at=0):
        begin = at
        if len(data) < at + 53:
            raise Malformed("a certificate is cut off")
        self.vote = data[at:at + 49]
        self.chain, self.view = struct.unpack_from("<QQ", data, at)
        self.block, self.phase = data[at + 16:at + 48], data[at + 48]
        count = struct.unpack_from("<I", data, at + 49)[0]
        if count > 64:
            raise Malformed("too many signatures")
        self.signatures, at = [], at + 53
        for _ in range(count):
            if data[at:at + 1] == b"\0":
                self.signatures.append(None)
                at += 1
            elif data[at:at + 1] == b"\1" and len(data) >= at + 65:
                self.signatures.append(data[at + 1:at + 65])
                at += 65
            else:
                raise Malformed("a certificate is cut off")
        self.end, self.bytes = at, data[begin:at]

    def is_genesis(self):
        return self.bytes == bytes(53)

    def check(self, trust):
        epoch = trust.epoch_of(self.chain)
        if self.phase != 0 or len(self.signatures) != len(epoch.validators):
            raise Malformed("a certificate of another phase or set of validators")
        power = 0
        for (key, one), signature in zip(epoch.validators, self.signatures):
            if signature is not None:
                if not is_signed(key, signature, self.vote):
                    raise Malformed("a validator's signature is bad")
                power += one
        if power < epoch.quorum:
            raise Malformed(f"power {power} is no quorum, {epoch.quorum} is")


class Header:
    def __init__(self, data):
        if len(data) < 8 + 53 + 32:
            raise Malformed("a header is cut off")
        self.height = struct.unpack_from("<Q", data)[0]
        self.justify = Certificate(data, 8)
        self.data_hash = data[self.justify.end:]
        if len(self.data_hash) != 32:
            raise Malformed("a header of another length")
        self.hash = sha(data)


def check_commit(commit, trust):
    """Epoch, height and data hash of the block that this proves to be committed."""
    headers = [Header(data) for data in commit[0]]
    last = Certificate(commit[1])
    if last.end != len(commit[1]):
        raise Malformed("bytes after a certificate")
    justifies = [header.justify for header in headers[1:]] + [last]
    for header, justify in zip(headers, justifies):
        if justify.block != header.hash:
            raise Malformed(f"block {header.height} is certified as another")
        if header.justify.is_genesis() != (header.height == 0):
            raise Malformed("genesis is not where it belongs")
    if any(after.height != min(before.height + 1, 2**64 - 1) for before, after in zip(headers, headers[1:])):
        raise Malformed("heights do not rise by one")
    three = justifies[-3:]
    if any(after.view != min(before.view + 1, 2**64 - 1) for before, after in zip(three, three[1:])):
        raise Malformed("views are not consecutive")
    for certificate in three:
        if certificate.chain != last.chain:
            raise Malformed("certificates of several chains")
        certificate.check(trust)
    return trust.epoch_of(last.chain).number, headers[0].height, headers[0].data_hash


# ---- 6. Batches and transactions ----------------------------------------------------------------------------------

class Proven:
    """A transaction that is committed."""

    def __init__(self, proof, trust):
        header, header_path, index, envelope, path, commit = proof
        epoch, height, data_hash = check_commit(commit, trust)
        if index >= header[2]:
            raise Malformed("a transaction that cannot be")
        leaves = [(cbor2.dumps(header, canonical=True), 0, header_path), (envelope, index + 1, path)]
        for leaf, at, way in leaves:
            if root_of(leaf_hash(leaf), at, header[2] + 1, way) != data_hash:
                raise Malformed("a path leads elsewhere")
        self.author, (ledger, self.said, self.event) = open_transaction(envelope)
        if ledger != trust.ledger or header[0] != trust.ledger:
            raise Malformed("a transaction of another ledger")
        self.hash, self.position, self.committed = sha(envelope), (epoch, height, index), header[1]
        if any(end[0] == epoch and self.position > end for end in trust.ends):
            raise Malformed("a transaction behind the end of its epoch")

    def expect(self, number):
        if self.event[0] != number:
            raise Malformed(f"a transaction of kind {self.event[0]}, expected {number}")
        return self.event[1]


# ---- 7. The opening -----------------------------------------------------------------------------------------------

class Opening:
    def __init__(self, evidence, trust):
        proof, consent_proof, custody_proofs = decode(evidence, OPENING)
        proven = Proven(proof, trust)
        self.trust, self.position = trust, proven.position
        (self.session, self.roster, self.edge, self.kit, _, _, consent, custody) = proven.expect(1)
        self.by_hospital(proven)
        self.check_roster()
        self.check_consent(Proven(consent_proof, trust), consent)
        self.check_custody([Proven(one, trust) for one in custody_proofs], custody)

    def by_hospital(self, proven):
        if proven.author not in self.trust.epochs[proven.position[0]].hospitals:
            raise Malformed("not by a hospital")

    def check_roster(self):
        roles = [role for _, role, _ in self.roster]
        keys = [key for key, _, _ in self.roster] + [self.edge, self.kit]
        if 0 not in roles or 1 not in roles or 4 in roles or 5 in roles or not 2 <= len(roles) <= 16:
            raise Malformed("a roster that may not be")
        if len(set(keys)) != len(keys):
            raise Malformed("a key stands twice")

    def check_consent(self, proven, expected):
        session, self.commitment, given = proven.expect(3)
        self.by_hospital(proven)
        if session != self.session or not given or proven.hash != expected or proven.position >= self.position:
            raise Malformed("the consent is another, or withdrawn, or later")

    def check_custody(self, steps, expected):
        if not 7 <= len(steps) <= 64:
            raise Malformed("too few or too many custody steps")
        before = None
        for proven in steps:
            kit, sequence, step, previous = proven.expect(4)
            if kit != self.kit or (step[0] in (5, 6) and proven.author != self.kit):
                raise Malformed("a custody step of another kit")
            if before is None:
                if step[0] != 0 or (sequence == 1 and previous != ZERO):
                    raise Malformed("custody does not begin sealed")
            else:
                last, (number, last_sequence) = before
                follows = step[0] == number + 1 or (step[0] == 5 and number in (5, 6))
                if not follows or sequence != last_sequence + 1 or previous != last.hash:
                    raise Malformed("a custody step is missing")
                if proven.position <= last.position:
                    raise Malformed("custody steps out of order")
            before = proven, (step[0], sequence)
        if step != [6, self.edge] or proven.hash != expected or proven.position >= self.position:
            raise Malformed("custody does not end with the kit paired")

    def add(self, proof):
        proven = Proven(proof, self.trust)
        if proven.event[0] != 2:
            return
        session, member = proven.event[1]
        self.by_hospital(proven)
        if session != self.session or proven.position <= self.position:
            raise Malformed("an addition to another roster")
        self.roster.append(member)
        try:
            self.check_roster()
        except Malformed:
            self.roster.pop()
            raise

    def role(self, key):
        return next((role for one, role, _ in self.roster if one == key), None)


# ---- 8 to 12. The session -----------------------------------------------------------------------------------------

class Findings:
    """What was found, each by its name in section 12.1."""

    def __init__(self):
        self.list, self.notes, self.violations, self.absences, self.unreadable = [], 0, 0, 0, 0

    def _add(self, severity, leaf, name, what):
        if len(self.list) < 1000 and not (severity == "note" and self.notes > 500):
            self.list.append({"leaf": leaf, "name": name, "severity": severity, "what": str(what)})

    def note(self, leaf, name, what):
        self.notes += 1
        self._add("note", leaf, name, what)

    def absence(self, leaf, name, what, declared=False):
        """What lies in a gap that was declared is no fault."""
        if declared:
            return self.note(leaf, name, f"{what}; a gap was declared there")
        self.absences += 1
        self._add("missing", leaf, name, what)

    def violation(self, leaf, name, what):
        self.violations += 1
        self._add("violation", leaf, name, what)

    def unread(self, leaf, name, what):
        self.unreadable += 1
        self._add("unreadable", leaf, name, what)


def runs(keys):
    """Commands in a row, as the first and the last of each row."""
    found = []
    for token, sequence in sorted(keys):
        if found and found[-1][1] == (token, sequence - 1):
            found[-1] = found[-1][0], (token, sequence)
        else:
            found.append(((token, sequence), (token, sequence)))
    return found


def is_pose(data, at):
    """Within a metre, with a unit quaternion; what is no number is no pose."""
    *position, w, x, y, z = struct.unpack_from("<7d", data, at)
    return all(abs(one) <= 1 for one in position) and abs(math.sqrt(w * w + x * x + y * y + z * z) - 1) <= 1e-3


class Session:
    def __init__(self, manifest, proofs, trust, findings):
        self.findings, self.tree, self.redacted, self.closed = findings, Tree(), 0, False
        self.manifest_hash, self.manifest, own = sha(manifest), None, None
        try:
            if len(manifest) > TRUST_BYTES + 65536:
                raise Malformed("too long")
            self.manifest = decode(manifest, MANIFEST)
            own = Trust(self.manifest[2])
        except Malformed as error:
            if self.manifest is None:
                findings.unread(None, "unreadable", f"manifest: {error}")
            else:
                findings.violation(None, "bundle-trust-root", error)
        leads = trust and own and trust.leads_to(own)
        if trust and own and not leads and not own.leads_to(trust):
            findings.violation(None, "other-ledger", "the bundle is of another ledger than the trust root given")
        self.trusted, self.trust = trust is not None, own if leads else trust or own
        self.seal, self.proofs = proofs[0], iter(proofs[1:])
        self.checkpoint, self.before = None, None
        self.opening, self.endorsed, self.holders = None, {}, {}
        self.recorded, self.counts, self.chains, self.gaps = 0, [0] * 6, {}, []
        self.frame, self.captured, self.pictures = 0, 0, {}
        self.logged, self.listed, self.judged = {}, {}, set()
        self.echoes, self.ticks, self.captures, self.holes = {}, {}, {}, []
        self.list_ends, self.leaseless, self.kit_run, self.taken_in = {}, set(), None, (0, 0)

    def take(self, number, data, redacted):
        """A leaf; returns its content if it can be read."""
        entry = None
        self.tree.append(redacted if redacted is not None else leaf_hash(data))
        if redacted is not None:
            self.redacted += 1
            self.findings.note(number, "redacted", "its hash is left")
        else:
            try:
                entry = decode(data, LEAF)
                if entry[3][0] == A_GAP and entry[3][1][3] < entry[3][1][2]:
                    raise Malformed("a gap ends before it begins")
            except Malformed as error:
                entry = None
                self.findings.unread(number, "unreadable", error)
        if entry is not None:
            self.entry(number, *entry[1:])
        elif number == 0:
            self.findings.absence(number, "not-opened", "the session does not begin with its opening")
        self.check_checkpoints()
        return entry

    def entry(self, leaf, number, recorded, what):
        kind = what[0]
        if number != leaf:
            self.findings.violation(leaf, "leaf-number", f"says number {number}")
        if leaf == 0 and kind != OPENED:
            self.findings.absence(leaf, "not-opened", "the session does not begin with its opening")
        if self.closed or (kind == OPENED and leaf > 0):
            self.findings.violation(leaf, "misplaced", "opened or closed in the middle")
        if kind == RESTARTED:
            self.findings.note(leaf, "restarted", what[1])
            self.captured, self.captures = 0, {}
        elif recorded < self.recorded:
            self.findings.violation(leaf, "recorded", "recorded before the one before")
        self.recorded = recorded
        takes = {
            OPENED: self.take_opening, COMMAND: self.take_command, SURGEON: self.take_surgeon_segment,
            KIT_LIST: self.take_kit_segment, A_FRAME: self.take_frame, DISPLAY: self.take_display_report,
            STATEMENT: self.take_statement, KIT_STATE: self.take_kit_state, A_GAP: self.take_gap,
            A_PROOF: self.take_proof, CLOSED: self.take_closing,
        }
        if kind in takes:
            takes[kind](leaf, what[1])

    # The opening, and who may say what.

    def take_opening(self, leaf, evidence):
        if self.trust is None or leaf > 0:
            return
        try:
            self.opening = Opening(evidence, self.trust)
        except Malformed as error:
            return self.findings.violation(leaf, "opening", f"the opening: {error}")
        if self.manifest and self.manifest[1] != self.opening.session:
            self.findings.violation(leaf, "manifest-session", "the manifest is of another session")

    def expect_session(self, leaf, session):
        if self.opening and session != self.opening.session:
            self.findings.violation(leaf, "session", "of another session")

    def take_proof(self, leaf, data):
        if not self.opening:
            return
        try:
            self.opening.add(decode(data, PROOF))
        except Malformed as error:
            self.findings.violation(leaf, "transaction", f"a committed transaction: {error}")

    def take_statement(self, leaf, data):
        self.counts[5] += 1
        if not self.opening:
            return
        try:
            author, body = open_envelope(data, b"farhand/v1 statement")
            session, (number, fields) = decode(body, struct_of(ID, said))
        except Malformed as error:
            return self.findings.violation(leaf, "envelope", f"statement: {error}")
        if session != self.opening.session:
            return self.findings.violation(leaf, "session", "a statement of another session")
        machine = author in (self.opening.edge, self.opening.kit)
        if not machine and self.opening.role(author) is None and author not in self.endorsed:
            return self.findings.absence(leaf, "author", "a statement by somebody who may make none")
        self.learn(leaf, author, number, fields)

    def learn(self, leaf, author, number, fields):
        if number in (9, 13, 14) and author != self.opening.kit:
            self.findings.absence(leaf, "author", "a statement of the kit's, by another")
        elif number == 0:
            role = self.opening.role(author)
            if role is None:
                return self.findings.absence(leaf, "author", "an endorsement by somebody outside the roster")
            self.endorsed[fields[0]] = role
        elif number == 9:
            token, holder = fields[0][1], fields[0][3]
            if self.holders.setdefault(token, holder) != holder:
                self.findings.violation(leaf, "two-holders", f"token {token} has two holders")

    def is_surgeon(self, key):
        return self.endorsed.get(key) == 0

    # Segments (9).

    def open_segment(self, leaf, data, domain, shape):
        try:
            author, body = open_envelope(data, domain)
            segment = decode(body, shape)
        except Malformed as error:
            self.findings.violation(leaf, "envelope", f"segment: {error}")
            return None, None
        self.expect_session(leaf, segment[0][0])
        return author, segment

    def chain(self, leaf, numbered, key, link, data):
        """Whether it was declared that segments before this one are missing."""
        session, number, previous = self.chains.get((numbered, key), (link[0], 0, ZERO))
        if self.opening and (numbered, key) not in self.chains:
            session = link[0]
        declared = False
        if link != [session, number + 1, previous]:
            declared = number + 1 < link[1] and self.declared(numbered, 0, number + 1, link[1] - 1)
            if not declared:
                self.findings.absence(leaf, "segment-chain", f"segment {link[1]} does not continue segment {number}")
        self.chains[numbered, key] = (session, link[1], sha(data))
        return declared

    def declared(self, numbered, token, first, last):
        return any(gap[:2] == [numbered, token] and gap[2] <= first and last <= gap[3] for gap in self.gaps)

    def take_surgeon_segment(self, leaf, data):
        self.counts[2] += 1
        author, segment = self.open_segment(leaf, data, b"farhand/v1 surgeon segment", SURGEON_SEGMENT)
        if segment is None:
            return
        declared = self.chain(leaf, 2, author, segment[0], data)
        if not self.opening:
            return
        if not self.is_surgeon(author):
            self.findings.absence(leaf, "author", "a surgeon's list by another")
        token = segment[1]
        if self.holders.get(token, author) != author:
            self.findings.violation(leaf, "not-holder", f"a list under token {token} by another than its holder")
        self.expect_lease(leaf, token)
        for sequence, digest in segment[2]:
            expected = self.list_ends.get((author, token), 0) + 1
            if sequence != expected:
                gap = sequence > expected and (declared or self.declared(0, token, expected, sequence - 1))
                self.findings.absence(leaf, "list-hole", f"the surgeon's list goes on at {sequence}", gap)
                if gap:
                    self.holes.append((token, expected, sequence - 1))
            self.list_ends[author, token] = sequence
            self.listed[token, sequence] = digest
            self.compare(leaf, (token, sequence))

    def compare(self, leaf, key):
        if key in self.logged and key in self.listed and self.logged[key] != self.listed[key]:
            self.findings.violation(leaf, "other-command", f"command {key} is another than the surgeon sent")

    def expect_lease(self, leaf, token):
        if token not in self.holders and token not in self.leaseless:
            self.leaseless.add(token)
            self.findings.absence(leaf, "no-lease", f"nobody was granted token {token}")

    def take_kit_segment(self, leaf, data):
        self.counts[3] += 1
        author, segment = self.open_segment(leaf, data, b"farhand/v1 kit segment", KIT_SEGMENT)
        if segment is None:
            return
        link, boot, begin, end, token, _, verdicts = segment
        declared = self.chain(leaf, 3, (author, boot), link, data)
        if self.opening and author != self.opening.kit:
            return self.findings.absence(leaf, "author", "a kit's list by another")
        expected = self.kit_run[1] if self.kit_run and self.kit_run[0] == boot else begin
        if begin != expected or end < begin:
            gap = declared and expected <= begin <= end
            self.findings.absence(leaf, "kit-time", f"the kit's time goes on at {begin}, expected {expected}", gap)
        self.kit_run = boot, end
        for sequence, tick, outcome in verdicts:
            if not begin <= tick < end:
                self.findings.violation(leaf, "verdict-time", f"the verdict on {sequence} lies outside its segment")
            self.judge(leaf, (token, sequence), tick, outcome == [0])

    def judge(self, leaf, key, tick, taken_in):
        if taken_in and key in self.judged:
            self.findings.violation(leaf, "judged-twice", f"command {key} was judged twice")
        self.judged.add(key)
        if taken_in:
            if key <= self.taken_in:
                self.findings.violation(leaf, "taken-in-late", f"command {key} was taken in late")
            self.taken_in = max(self.taken_in, key)
            self.ticks[key] = tick
            self.compare_time(leaf, key)

    def compare_time(self, leaf, key):
        if key in self.echoes and key in self.ticks and self.ticks[key] < self.echoes[key]:
            self.findings.violation(leaf, "judged-early", f"command {key} was taken in before it can have been sent")

    def take_display_report(self, leaf, data):
        self.counts[4] += 1
        author, report = self.open_segment(leaf, data, b"farhand/v1 display report", DISPLAY_REPORT)
        if report is None:
            return
        self.chain(leaf, 4, author, report[0], data)
        if self.opening and not self.is_surgeon(author):
            self.findings.absence(leaf, "author", "a display report by another")
        for frame, picture, _, glass_us in report[1]:
            if frame in self.pictures:
                if self.pictures[frame] != picture:
                    self.findings.violation(leaf, "other-picture", f"frame {frame} was shown as another picture")
            else:
                self.findings.absence(leaf, "never-sent", f"frame {frame} was shown and never sent")
            if glass_us - self.age(frame, glass_us) > 1_000_000:
                self.findings.note(leaf, "glass-to-glass", f"frame {frame} was shown after it was reported")

    def age(self, frame, otherwise):
        """How old a frame is now, by the edge box's clock, where that can be said."""
        return max(self.recorded - self.captures[frame], 0) if frame in self.captures else otherwise

    # Commands and frames.

    def take_command(self, leaf, data):
        self.counts[0] += 1
        if not self.opening:
            return
        jaw = struct.unpack_from("<d", data, 120)[0]
        if data[:2] != b"\1\1" or data[2] & ~3 or not is_pose(data, 64) or not abs(jaw) <= math.pi:
            return self.findings.violation(leaf, "wire", "no command")
        token, sequence, echo = struct.unpack_from("<QQQ", data, 24)
        seen = struct.unpack_from("<Q", data, 128)[0]
        self.expect_session(leaf, data[8:24])
        if data[136:] == bytes(16):
            self.findings.violation(leaf, "command-code", "a command without a code")
        if seen > self.frame:
            self.findings.absence(leaf, "unseen-frame", f"a command names frame {seen}, the newest is {self.frame}")
        age_us = struct.unpack_from("<I", data, 4)[0]
        if age_us != 2**32 - 1 and abs(self.age(seen, age_us) - age_us) > 1_000_000:
            self.findings.note(leaf, "frame-age", f"frame {seen} was {self.age(seen, age_us)} us old, not {age_us}")
        self.expect_lease(leaf, token)
        key = token, sequence
        if key in self.logged:
            self.findings.violation(leaf, "command-twice", f"command {key} is logged twice")
        self.logged[key] = sha(data)
        self.compare(leaf, key)
        if key not in self.echoes:
            self.echoes[key] = echo
            self.compare_time(leaf, key)

    def take_kit_state(self, leaf, data):
        jaw, (mode, state, _, count, arm, arms) = struct.unpack_from("<d", data, 208)[0], data[2:8]
        codes = [struct.unpack_from("<I", data, at)[0] for at in [240, *range(260, 260 + 20 * min(count, 8), 20)]]
        good = mode <= 5 and state <= 3 and count <= 8 and max(codes) <= 27 and arm < arms <= 4 and abs(jaw) <= math.pi
        if data[:2] != b"\2\1" or not (good and is_pose(data, 96) and is_pose(data, 152)):
            return self.findings.violation(leaf, "wire", "no kit state")
        self.expect_session(leaf, data[8:24])

    def take_frame(self, leaf, frame):
        self.counts[1] += 1
        number, captured = frame[0], frame[2]
        expected = self.frame + 1
        if number != expected and not (number > expected and self.declared(1, 0, expected, number - 1)):
            self.findings.absence(leaf, "frame-number", f"frame {number} follows, expected {expected}")
        if captured < self.captured:
            self.findings.violation(leaf, "frame-time", f"frame {number} was captured before the one before")
        self.frame, self.captured = max(self.frame, number), max(self.captured, captured)
        self.pictures[number] = frame[6]
        self.captures[number] = captured

    def take_gap(self, leaf, gap):
        self.findings.note(leaf, "gap", gap)
        self.gaps.append(gap)
        if gap[0] == 1 and gap[2] == self.frame + 1:
            self.frame = gap[3]

    def take_closing(self, leaf, claimed):
        self.closed = True
        lacks = [said - seen for said, seen in zip(claimed, self.counts)]
        if min(lacks) < 0 or sum(lacks) > self.redacted:
            self.findings.violation(leaf, "closing-counts", f"closing counts {claimed[:6]}, there are {self.counts}")

    # Checkpoints and the seal (11).

    def next_checkpoint(self):
        for data in self.proofs:
            try:
                proven = Proven(decode(data, PROOF), self.trust)
                checkpoint = proven.expect(5)
            except Malformed as error:
                self.findings.violation(None, "checkpoint-proof", f"a checkpoint: {error}")
                continue
            session, size, root, previous, first, last = checkpoint
            before_size, before_root, position = self.before or (0, sha(), (-1, -1, -1))
            earliest = max(proven.said[0] - proven.said[1], 0)
            if proven.author != self.opening.edge:
                self.findings.violation(last, "checkpoint-author", "a checkpoint by another")
            if (session != self.opening.session or size <= before_size or previous != before_root
                    or first != before_size or last != size - 1 or proven.position <= position):
                self.findings.violation(last, "checkpoint-chain", "a checkpoint does not continue the one before")
            if earliest > sum(proven.committed) + 5_000_000:
                self.findings.violation(last, "checkpoint-time", "a checkpoint from the future")
            self.before = size, root, proven.position
            return size, root
        return None

    def check_checkpoints(self):
        if not self.opening:
            return
        self.checkpoint = self.checkpoint or self.next_checkpoint()
        while self.checkpoint and self.checkpoint[0] <= self.tree.size:
            if self.checkpoint != (self.tree.size, self.tree.root()):
                self.findings.violation(self.tree.size - 1, "checkpoint-root", "the log has another root than was committed")
            self.checkpoint = self.next_checkpoint()

    def check_seal(self):
        try:
            proven = Proven(decode(self.seal, PROOF), self.trust)
            session, size, root, manifest, commands, frames = proven.expect(8)
        except Malformed as error:
            return self.findings.violation(None, "seal-proof", f"the seal: {error}")
        lacks = [commands - self.counts[0], frames - self.counts[1]]
        if (proven.author != self.opening.edge or session != self.opening.session or size != self.tree.size
                or root != self.tree.root() or manifest != self.manifest_hash
                or not all(0 <= lack <= self.redacted for lack in lacks)):
            self.findings.violation(None, "seal", "the seal is of something else")
        if size != (self.before[0] if self.before else 0):
            self.findings.violation(None, "checkpoints-end", "the last checkpoint is not the seal's")

    def finish(self):
        if not self.closed:
            self.findings.absence(None, "not-closed", "the session is not closed")
        for key in sorted(self.logged.keys() - self.listed.keys()):
            hole = any(token == key[0] and first <= key[1] <= last for token, first, last in self.holes)
            if not hole and not self.declared(0, *key, key[1]):
                self.findings.absence(None, "unlisted-command", f"command {key} is in no list of the surgeon's")
        for key in sorted(self.judged - self.logged.keys()):
            if not self.declared(0, *key, key[1]):
                self.findings.absence(None, "unlogged-command", f"command {key} was judged and never logged")
        for first, last in runs(self.listed.keys() - self.logged.keys() - self.judged):
            self.findings.note(None, "lost-to-edge", f"{first} to {last} were sent and are not in the log")
        for first, last in runs(self.logged.keys() - self.judged):
            self.findings.note(None, "lost-to-kit", f"{first} to {last} are in no list of the kit's")
        if self.opening:
            while self.checkpoint or (checkpoint := self.next_checkpoint()):
                size = (self.checkpoint or checkpoint)[0]
                self.findings.violation(None, "checkpoint-beyond", f"a checkpoint of {size} leaves is committed")
                self.checkpoint = None
            self.check_seal()

    def exit(self):
        found = self.findings
        if found.violations or (found.absences and not self.redacted):
            return 1
        return 2 if found.unreadable else 0 if self.trusted else 3


# ---- 10. Pictures -------------------------------------------------------------------------------------------------

def nal_units(unit):
    """NAL units that are hashed, in order."""
    at = unit.find(b"\0\0\1")
    while at >= 0:
        begin = at + 3
        at = unit.find(b"\0\0\1", begin)
        end = at if at >= 0 else len(unit)
        nal = unit[begin:end].rstrip(b"\0")
        if nal and nal[0] & 0x1F not in (9, 12):
            yield nal


def check_picture(leaf, frame, unit, findings):
    nals = list(nal_units(unit))
    if unit != b"".join(b"\0\0\0\1" + nal for nal in nals):
        findings.violation(leaf, "picture-form", f"frame {frame[0]} holds bytes that were not sent")
    prefixed = [(nal[0] & 0x1F, struct.pack(">I", len(nal)) + nal) for nal in nals]
    if sha(*[nal for _, nal in prefixed]) != frame[5]:
        findings.violation(leaf, "picture", f"the access unit of frame {frame[0]} has another hash")
    if sha(*[nal for kind, nal in prefixed if 1 <= kind <= 5]) != frame[6]:
        findings.violation(leaf, "picture", f"the picture of frame {frame[0]} has another hash")


# ---- 14. The container, made again --------------------------------------------------------------------------------

MAGIC = b"\x89MCAP0\r\n"
SCHEMA = base64.b64decode(
    "CncKH2dvb2dsZS9wcm90b2J1Zi90aW1lc3RhbXAucHJvdG8SD2dvb2dsZS5wcm90b2J1ZiI7CglUaW1lc3RhbXASGAoHc2Vjb25kcxgBIAEoA1IHc2Vjb25k"
    "cxIUCgVuYW5vcxgCIAEoBVIFbmFub3NiBnByb3RvMwrFAQoeZm94Z2xvdmUvQ29tcHJlc3NlZFZpZGVvLnByb3RvEghmb3hnbG92ZRofZ29vZ2xlL3Byb3Rv"
    "YnVmL3RpbWVzdGFtcC5wcm90byJwCg9Db21wcmVzc2VkVmlkZW8SLQoJdGltZXN0YW1wGAEgASgLMhouZ29vZ2xlLnByb3RvYnVmLlRpbWVzdGFtcBIQCghm"
    "cmFtZV9pZBgCIAEoCRIMCgRkYXRhGAMgASgMEg4KBmZvcm1hdBgEIAEoCWIGcHJvdG8z"
)


def string(text):
    return struct.pack("<I", len(text.encode())) + text.encode()


def record(opcode, body):
    return struct.pack("<BQ", opcode, len(body)) + body


def sized(pairs, form):
    body = b"".join(struct.pack(form, *pair) for pair in pairs)
    return struct.pack("<I", len(body)) + body


def varint(value):
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def field(number, data):
    return bytes([number << 3 | 2]) + varint(len(data)) + data


def video(captured_us, unit):
    seconds, nanoseconds = captured_us // 1_000_000, captured_us % 1_000_000 * 1000
    timestamp = b"".join(bytes([n << 3]) + varint(value) for n, value in ((1, seconds), (2, nanoseconds)) if value)
    return field(1, timestamp) + field(2, b"endoscope") + field(3, unit) + field(4, b"h264")


def ns(us):
    return min(us * 1000, 2**64 - 1)


SCHEMA_RECORD = record(
    3, struct.pack("<H", 1) + string("foxglove.CompressedVideo") + string("protobuf")
    + struct.pack("<I", len(SCHEMA)) + SCHEMA
)
CHANNEL_RECORDS = [
    record(4, struct.pack("<HH", 1, 0) + string("/farhand/leaves") + string("cbor") + struct.pack("<I", 0)),
    record(4, struct.pack("<HH", 2, 1) + string("/farhand/video") + string("protobuf") + struct.pack("<I", 0)),
]


class Again:
    """Makes the file from its content, and compares it with the one that is there."""

    def __init__(self, file):
        self.file, self.at, self.crc, self.differs = file, 0, 0, None
        self.records, self.messages, self.bounds = [SCHEMA_RECORD, *CHANNEL_RECORDS], {}, None
        self.size = sum(map(len, self.records))
        self.chunks, self.counts, self.all_bounds = [], {}, None
        self.offset_us, self.newest_us = 0, 0
        self.write(MAGIC)
        self.write(record(1, string("farhand") + string("farhand bundle v1")))

    def write(self, data):
        self.crc = zlib.crc32(data, self.crc)
        if self.differs is None:
            seen = self.file.read(len(data))
            if seen != data:
                same = next((at for at, (a, b) in enumerate(zip(seen, data)) if a != b), len(seen))
                self.differs = self.at + same
        self.at += len(data)

    def message(self, channel, sequence, log_us, publish_us, data):
        if self.size > 1_048_576:
            self.end_chunk()
        time = ns(log_us)
        body = struct.pack("<HIQQ", channel, sequence & 0xFFFFFFFF, time, ns(publish_us)) + data
        self.messages.setdefault(channel, []).append((time, self.size))
        self.counts[channel] = self.counts.get(channel, 0) + 1
        self.bounds = (min(self.bounds[0], time), max(self.bounds[1], time)) if self.bounds else (time, time)
        self.records.append(record(5, body))
        self.size += len(self.records[-1])

    def end_chunk(self):
        records, begin, bounds = b"".join(self.records), self.at, self.bounds or (0, 0)
        size = struct.pack("<Q", len(records))
        head = struct.pack("<QQ", *bounds) + size + struct.pack("<I", zlib.crc32(records)) + string("") + size
        self.write(record(6, head + records))
        length, indexes = self.at - begin, []
        for channel in sorted(self.messages):
            indexes.append((channel, self.at))
            self.write(record(7, struct.pack("<H", channel) + sized(self.messages[channel], "<QQ")))
        self.chunks.append(
            struct.pack("<QQQQ", *bounds, begin, length) + sized(indexes, "<HQ")
            + struct.pack("<Q", self.at - begin - length) + string("") + size * 2
        )
        if self.bounds:
            old = self.all_bounds or self.bounds
            self.all_bounds = min(old[0], bounds[0]), max(old[1], bounds[1])
        self.records, self.messages, self.bounds, self.size = [], {}, None, 0

    def leaf(self, number, data, entry, unit):
        if entry is not None:
            self.tell_time(entry)
        self.message(1, number, self.newest_us, self.newest_us, data)
        if unit is not None:
            captured = max(entry[3][1][2] + self.offset_us, 0)
            self.message(2, entry[3][1][0], self.newest_us, captured, video(captured, unit))

    def tell_time(self, entry):
        _, _, recorded, what = entry
        utc = None
        if what[0] == OPENED:
            try:
                utc = decode(what[1], OPENING)[0][0][1][0]
            except Malformed:
                pass
        elif what[0] == CLOCK:
            utc = what[1][0]
        elif what[0] == RESTARTED:
            utc = self.newest_us
        if utc is not None:
            self.offset_us = utc - recorded
        self.newest_us = max(self.newest_us, min(max(recorded + self.offset_us, 0), 2**64 - 1))

    def attach(self, name, media_type, data):
        time, begin = ns(self.newest_us), self.at
        body = struct.pack("<QQ", time, time) + string(name) + string(media_type)
        body += struct.pack("<Q", len(data)) + data
        self.write(record(9, body + struct.pack("<I", zlib.crc32(body))))
        return struct.pack("<QQQQQ", begin, self.at - begin, time, time, len(data)) + string(name) + string(media_type)

    def finish(self, manifest, proofs):
        if self.records:
            self.end_chunk()
        attachments = [
            self.attach("manifest", "application/cbor", manifest),
            self.attach("proofs", "application/cbor-seq", proofs),
        ]
        self.write(record(15, struct.pack("<I", self.crc)))
        counts = sorted(self.counts.items())
        statistics = struct.pack(
            "<QHIIIIQQ", sum(self.counts.values()), 1, 2, 2, 0, len(self.chunks), *(self.all_bounds or (0, 0))
        ) + sized(counts, "<HQ")
        groups = [
            (3, [SCHEMA_RECORD]), (4, CHANNEL_RECORDS), (11, [record(11, statistics)]),
            (8, [record(8, chunk) for chunk in self.chunks]), (10, [record(10, one) for one in attachments]),
        ]
        begin, summary, offsets = self.at, b"", b""
        for opcode, records in groups:
            group = b"".join(records)
            offsets += record(14, struct.pack("<BQQ", opcode, begin + len(summary), len(group)))
            summary += group
        tail = summary + offsets + struct.pack("<BQQQ", 2, 20, begin, begin + len(summary))
        self.write(tail + struct.pack("<I", zlib.crc32(tail)) + MAGIC)
        if self.differs is None and self.file.read(1):
            self.differs = self.at


# ---- 15. People -----------------------------------------------------------------------------------------------------

def check_vault(path, session):
    """Who is who, in lines, and whether the consent commits to exactly these records."""
    with open(path, "rb") as file:
        _, records = decode(file.read(), VAULT)
    tree, lines = Tree(), []
    for pseudonym, commitment, state in records:
        tree.append(leaf_hash(commitment))
        if state[0] == 1:
            lines.append(f"{pseudonym}: erased: {state[2]}")
            continue
        key, salt, ciphertext = state[1:]
        if sha(salt, ciphertext) != commitment:
            raise Malformed(f"the record of {pseudonym} is not what its commitment says")
        plain = ChaCha20Poly1305(key).decrypt(bytes(12), ciphertext, pseudonym.encode())
        record = decode(plain, struct_of(*[tstr(0, 61440)] * 4))
        lines.append(f"{pseudonym}: {', '.join(filter(None, record))}")
    return lines, bool(session.opening) and tree.root() == session.opening.commitment


# ---- Reading ------------------------------------------------------------------------------------------------------

class Unreadable(Exception):
    """A file that is no bundle, or not a whole one."""


def read_attachments(file):
    file.seek(-len(MAGIC), io.SEEK_END)
    if file.read() != MAGIC:
        raise Unreadable("it does not end as an MCAP file")
    file.seek(0)
    found = list(make_reader(file).iter_attachments())
    if [one.name for one in found] != ["manifest", "proofs"]:
        raise Unreadable("it has no manifest or no proofs")
    return found[0].data, found[1].data


def split_proofs(data):
    stream, proofs = io.BytesIO(data), []
    while stream.tell() < len(data):
        begin = stream.tell()
        proof = cbor2.load(stream)
        if type(proof) is not bytes or cbor2.dumps(proof) != data[begin:stream.tell()]:
            raise Unreadable("a proof is no byte string in its shortest form")
        proofs.append(proof)
    if not proofs:
        raise Unreadable("it has no proof of its seal")
    return proofs


def unit_in(message):
    """The access unit in a foxglove.CompressedVideo; what else is in it is seen when it is made again."""
    stream = ReadDataStream(io.BytesIO(message))
    while tag := stream.read1():
        length, shift = 0, 0
        while True:
            byte = stream.read1()
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        data = stream.read(length)
        if len(data) != length or tag not in (0x0A, 0x12, 0x1A):
            break
        if tag == 0x1A:
            return data
    raise Unreadable("a picture is no foxglove.CompressedVideo")


def contents(file):
    """(data of the leaf's message, access unit or None), in order."""
    file.seek(0)
    leaf = None
    for part in StreamReader(file, emit_chunks=True, record_size_limit=None).records:
        if not isinstance(part, Chunk):
            continue
        for one in breakup_chunk(part):
            if isinstance(one, (Schema, Channel)):
                continue
            if not isinstance(one, Message) or one.channel_id not in (1, 2):
                raise Unreadable("it has a record that no bundle has")
            if one.channel_id == 1:
                if leaf is not None:
                    yield leaf, None
                leaf = one.data
            elif leaf is None:
                raise Unreadable("a picture does not follow its frame")
            else:
                yield leaf, unit_in(one.data)
                leaf = None
    if leaf is not None:
        yield leaf, None


def verify(path, trust):
    """Exit code and findings."""
    findings = Findings()
    with open(path, "rb") as file, open(path, "rb") as same:
        manifest, proofs = read_attachments(file)
        session = Session(manifest, split_proofs(proofs), trust, findings)
        again = Again(same)
        for number, (data, unit) in enumerate(contents(file)):
            redacted = data[2:] if data[:2] == b"\x58\x20" and len(data) == 34 else None
            entry = session.take(number, data, redacted)
            if unit is not None and (entry is None or entry[3][0] != A_FRAME):
                findings.violation(number, "stray-picture", "a picture behind a leaf that is no frame")
                unit = None
            elif unit is not None:
                check_picture(number, entry[3][1], unit, findings)
            again.leaf(number, data, entry, unit)
        session.finish()
        again.finish(manifest, proofs)
        if again.differs is not None:
            findings.violation(None, "container", f"byte {again.differs} is not what the content makes it")
    return session.exit(), findings, session


def report_on(path, trust, keys=None):
    """What there is to say of a file, whatever is in it."""
    try:
        code, findings, session = verify(path, trust)
        people, committed = check_vault(keys, session) if keys else ([], True)
        code = code if committed else 1
        counts = dict(zip(
            ("commands", "frames", "surgeon_segments", "kit_segments", "display_reports", "statements"),
            session.counts,
        ))
        return {"exit": code, "leaves": session.tree.size, "redacted": session.redacted, **counts,
                **({"people": people, "committed": committed} if keys else {}), "findings": findings.list}
    except Exception as error:  # a file from outside: whatever goes wrong in reading it is the answer
        return {"exit": 2, "unreadable": f"{type(error).__name__}: {error}", "findings": []}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="+", help="with several, the exit code is the highest")
    parser.add_argument("--trust", metavar="GENESIS")
    parser.add_argument("--keys", metavar="VAULT", help="name the people, too")
    parser.add_argument("--json", action="store_true", help="an object a line for each file")
    arguments = parser.parse_args()
    trust, worst = None, 0
    try:
        if arguments.trust:
            with open(arguments.trust, "rb") as file:
                trust = Trust(file.read())
    except (OSError, Malformed) as error:
        report = {"exit": 2, "unreadable": f"the trust root: {error}", "findings": []}
        print(json.dumps(report) if arguments.json else report["unreadable"])
        sys.exit(2)
    for path in arguments.file:
        report = report_on(path, trust, arguments.keys)
        worst = max(worst, report["exit"])
        if arguments.json:
            print(json.dumps(report))
            continue
        words = ["holds", "does not hold", "unreadable", "self-consistent, not trusted"]
        print(words[report["exit"]], {key: value for key, value in report.items() if key != "findings"})
        for finding in report["findings"][:50]:
            print(f"  leaf {finding['leaf']}: {finding['severity']}: {finding['name']}: {finding['what']}")
    sys.exit(worst)


if __name__ == "__main__":
    main()
