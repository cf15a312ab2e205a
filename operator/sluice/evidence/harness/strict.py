"""What our own two formats have in common: the run that they speak of, and that they are closed.

A member that we do not know may be the one that says what was left out, so it is refused. Files of other tools grow members with every version, and are not.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from sluice.evidence.harness.scores import Run
from sluice.provenance.digests import is_hex_digest
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.statement import text
from sluice.provenance.strict_json import JsonObject, member

_MALFORMED = Reason.RawResultMalformed


def refuse_others(parent: JsonObject, known: AbstractSet[str], *, where: str) -> None:
    """Raise ProvenanceError (RawResultMalformed) for a member that is not `known`."""
    if others := sorted(parent.keys() - known):
        raise ProvenanceError(_MALFORMED, f"{where} has {others[0][:100]!r}, which nothing reads; it may have {', '.join(sorted(known))}")


def run_of(document: JsonObject, *, where: str) -> Run:
    """Read suite and tool. Raises ProvenanceError (RawResultMalformed)."""
    tool = member(document, "tool", dict, where=where, reason=_MALFORMED)
    refuse_others(tool, {"name", "version"}, where="tool")
    digest = text(document, "suiteDigest", where=where, reason=_MALFORMED) if "suiteDigest" in document else None
    if digest is not None and not (digest.startswith("sha256:") and is_hex_digest("sha256", digest.removeprefix("sha256:"))):
        raise ProvenanceError(_MALFORMED, f"{where}.suiteDigest is not sha256: and 64 lower-case hexadecimal digits")
    return Run(
        suite=text(document, "suite", where=where, reason=_MALFORMED),
        suite_digest=digest,
        harness=text(tool, "name", where="tool", reason=_MALFORMED),
        harness_version=text(tool, "version", where="tool", reason=_MALFORMED),
    )
