#!/usr/bin/env python3
"""Makes opening.json: a ledger written from docs/evidence-format.md alone, without a line of `shared/ledger`'s or of the
console's, with skipped views and transactions beside the session's own.

Needs python3-cryptography. Run it in this folder; the file that it writes is checked in."""

import hashlib
import json
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RAW = (Encoding.Raw, PublicFormat.Raw)


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def cbor(value):
    def head(major, number):
        if number < 24:
            return bytes([major << 5 | number])
        for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
            if number < 1 << (8 * size):
                return bytes([major << 5 | code]) + number.to_bytes(size, "big")
        raise ValueError(number)

    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    return head(4, len(value)) + b"".join(cbor(item) for item in value)


class Key:
    def __init__(self, name):
        self.seed = sha(b"console test key ", name.encode())
        self.secret = Ed25519PrivateKey.from_private_bytes(self.seed)
        self.public = self.secret.public_key().public_bytes(*RAW)

    def signed(self, domain, body):
        signature = self.secret.sign(domain + b"\0" + self.public + body)
        return b"\x10\x01" + self.public + signature + body


TRANSACTION = b"farhand/v1 transaction"


class Ledger:
    def __init__(self):
        self.id = sha(b"ledger")[:16]
        self.validators = sorted((Key(f"validator {n}") for n in range(5)), key=lambda key: key.public)
        self.hospital = Key("hospital")
        self.trust = cbor(
            ["farhand trust root v1", self.id, 1, [[v.public, 1] for v in self.validators], [self.hospital.public], 0]
        )
        self.height, self.view = 0, 0
        self.newest = struct.pack("<QQ32sBI", 0, 0, bytes(32), 0, 0)
        self.block(tree([cbor([self.id, [0, 0], 0])])[0])

    def block(self, data_hash):
        header = struct.pack("<Q", self.height) + self.newest + data_hash
        self.height, self.view = self.height + 1, self.view + 1
        vote = struct.pack("<QQ32sB", 1, self.view, sha(header), 0)
        slots = [
            b"\0" if n == self.view % 5 else b"\1" + key.secret.sign(vote) for n, key in enumerate(self.validators)
        ]
        self.newest = vote + struct.pack("<I", 5) + b"".join(slots)
        return header

    def commit(self, author, event, others=0, skip=0):
        """One transaction among `others`, as the last; `skip` views are lost after its block."""
        at = [1_700_000_000_000_000 + self.height, 2000]
        signed = author.signed(TRANSACTION, cbor([self.id, at, event]))
        filling = [self.hospital.signed(TRANSACTION, cbor([self.id, [n, 0], event])) for n in range(others)]
        head = [self.id, at, others + 1]
        root, path = tree([cbor(head), *filling, signed], 0)
        _, own = tree([cbor(head), *filling, signed], others + 1)
        headers = [self.block(root)]
        self.view += skip
        headers += [self.block(sha(b"")) for _ in range(2 if skip == 0 else 3)]
        return [head, path, others, signed, own, [headers, self.newest]], sha(signed)


def tree(leaves, index=0):
    def root(hashes):
        if len(hashes) == 1:
            return hashes[0]
        half = 1 << (len(hashes) - 1).bit_length() - 1
        return sha(b"\1", root(hashes[:half]), root(hashes[half:]))

    def path(hashes, index):
        if len(hashes) == 1:
            return []
        half = 1 << (len(hashes) - 1).bit_length() - 1
        if index < half:
            return path(hashes[:half], index) + [root(hashes[half:])]
        return path(hashes[half:], index - half) + [root(hashes[:half])]

    hashes = [sha(b"\0", leaf) for leaf in leaves]
    return root(hashes), path(hashes, index)


LIMITS = "command_age_ms_max=300\npicture_age_ms_max=400\nlag_mm_max=10\nlag_deg_max=15\n"


def opening():
    ledger, session = Ledger(), sha(b"session")[:16]
    kit, edge, field = Key("kit"), Key("edge"), Key("field")
    roster = [
        [Key("surgeon link").public, 0, "surgeon-1"],
        [Key("bedside link").public, 1, "bedside-1"],
        [field.public, 2, "field-1"],
    ]
    consent, consent_hash = ledger.commit(ledger.hospital, [3, [session, sha(b"consent"), True]])
    previous, custody = bytes(32), []
    for sequence, step in enumerate([[0], [1], [2], [3], [4], [5], [6, edge.public]], 1):
        author = kit if step[0] >= 5 else field
        event = [4, [kit.public, sequence, step, previous]]
        proof, previous = ledger.commit(author, event, others=sequence % 4, skip=sequence % 2)
        custody.append(proof)
    body = [session, roster, edge.public, kit.public, sha(LIMITS.encode()), sha(b"arm"), consent_hash, previous]
    proof, _ = ledger.commit(ledger.hospital, [1, body], others=6)
    return {
        "trust_root": ledger.trust,
        "fingerprint": sha(ledger.trust),
        "opening": cbor([proof, consent, custody]),
        "session": session,
        "edge": edge.public,
        "kit": kit.public,
        "surgeon": Key("surgeon link").public,
        "limits": LIMITS.encode(),
        "seeds": {name: Key(name).seed for name in ("surgeon link", "bedside link", "field", "edge", "kit")},
    }


def texts(value):
    if isinstance(value, dict):
        return {name: texts(item) for name, item in value.items()}
    return value.hex() if isinstance(value, bytes) else value


with open("opening.json", "w") as file:
    json.dump(texts(opening()), file, indent=1)
    file.write("\n")
