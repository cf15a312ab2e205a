"""What is attached is what was signed: all of it, and nothing else.

A producer who could name five files and attach one would choose the file.
"""

from __future__ import annotations

from collections.abc import Mapping

from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.statement import Statement, digests_of, sha256_in
from sluice.provenance.strict_json import member, objects, optional

FILE_LIMIT = 16


def attached(statement: Statement, key: str, attachments: Mapping[str, bytes]) -> list[tuple[str, bytes]]:
    """Give name and content of each file that `predicate.<key>`, a list of resource descriptors, names.

    Raises ProvenanceError: PredicateMalformed, AttachmentMissing, AttachmentMismatch.
    """
    named = _named(statement, key)
    contents = {sha256_of(content): (name, content) for name, content in attachments.items()}
    for digest, name in named.items():
        if digest not in contents:
            if name in attachments:
                raise ProvenanceError(Reason.AttachmentMismatch, f"attachment {name!r} is {sha256_of(attachments[name])}; the statement names {digest}")
            raise ProvenanceError(Reason.AttachmentMissing, f"the statement names file {name[:200]!r} ({digest}), which is not attached")
    for digest, (name, _) in contents.items():
        if digest not in named:
            raise ProvenanceError(Reason.AttachmentMismatch, f"attachment {name[:200]!r} ({digest}) is not named by the statement")
    return list(contents.values())


def _named(statement: Statement, key: str) -> dict[str, str]:
    """Digest to name of the files that the statement names."""
    where = f"predicate.{key}"
    listed = member(statement.predicate, key, list, where="predicate", reason=Reason.PredicateMalformed)
    entries = objects(listed, where=where, reason=Reason.PredicateMalformed, limit=FILE_LIMIT)
    if not entries:
        raise ProvenanceError(Reason.PredicateMalformed, f"{where} names no file: there is nothing to read")
    named = {}
    for index, entry in enumerate(entries):
        digest = sha256_in(digests_of(entry, where=f"{where}[{index}]", reason=Reason.PredicateMalformed))
        if digest is None:
            raise ProvenanceError(Reason.PredicateMalformed, f"{where}[{index}] has no sha256 digest")
        named[digest] = optional(entry, "name", str, where=f"{where}[{index}]", reason=Reason.PredicateMalformed) or "(no name)"
    return named
