#!/usr/bin/env python3
"""Reads what `farhand-audit export --format fhir` wrote, by the rules of FHIR R4 (fhir.resources, its R4B models).

    fhir.py DIR

Exit code: 0 if every line of both files is a resource of its kind and says what it must, 1 if one is not.
"""

import sys
from pathlib import Path

# This file has the name of the package that it needs.
sys.path.pop(0)

from fhir.resources.R4B.auditevent import AuditEvent
from fhir.resources.R4B.provenance import Provenance

KINDS = {"AuditEvent.ndjson": AuditEvent, "Provenance.ndjson": Provenance}


def read(path, kind):
    """Every line as a resource; the first that is none ends it."""
    resources = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            resources.append(kind.model_validate_json(line))
        except ValueError as error:
            sys.exit(f"{path.name}, line {number}: {error}")
    return resources


def expect(holds, what):
    if not holds:
        sys.exit(what)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    events, provenance = (read(Path(sys.argv[1]) / name, kind) for name, kind in KINDS.items())
    expect(len({event.id for event in events}) == len(events), "two AuditEvents have one id")
    expect([event.id for event in events if event.type.code == "verify"] == [events[-1].id],
           "the last AuditEvent, and no other, is about the verification")
    expect(len(provenance) == 1, f"{len(provenance)} Provenances, there must be one")
    expect("no patient data" in provenance[0].target[0].display, "the Provenance does not say that there is no patient")
    print(f"{len(events)} AuditEvents, {len(provenance)} Provenance: all are FHIR R4")


if __name__ == "__main__":
    main()
