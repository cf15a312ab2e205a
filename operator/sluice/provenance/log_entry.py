"""One entry of a transparency log: that a log that we trust has it, and since when, by the log's own word.

Rekor version 1 promises entries (signed entry timestamp), and its promise is the only thing that dates them; version 2 proves and does not date.

Specifications: Sigstore client specification, "Transparency log entry"; Rekor version 1 (signed entry timestamp: RFC 8785 over four members), Rekor version 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sluice.provenance.checkpoint import PROOF_LIMIT, Checkpoint, root_of
from sluice.provenance.encoding import base64_member, decoded, encoded, integer_member, refuse_unknown
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.log_key import LogKey
from sluice.provenance.strict_json import JsonObject, canonical, member, optional

_INVALID = Reason.LogEntryInvalid
_YEAR_9999 = 253_402_300_799
_DATED = frozenset({("hashedrekord", "0.0.1"), ("dsse", "0.0.1"), ("intoto", "0.0.2")})
"""Kinds of Rekor version 1, whose promise dates them."""
_MEMBERS = {"logIndex", "logId", "kindVersion", "integratedTime", "inclusionPromise", "inclusionProof", "canonicalizedBody"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """An entry that its log has."""

    keys: tuple[LogKey, ...]
    """The log's key that vouches, with each of the windows that the trust root gives it."""
    index: int
    kind: str
    version: str
    body: bytes
    integrated_at: datetime | None
    """When the log took it, by its promise; None without."""


def verify_log_entry(entry: JsonObject, logs: Iterable[LogKey], *, proof_needed: bool) -> LogEntry:
    """Verify that a log of `logs` has `entry`; `proof_needed` is False for bundles 0.1, which may bring a promise alone.

    Raises ProvenanceError (LogEntryInvalid). That the entry is about a certain signature is for `log_body` to say, and times are for the caller to use.
    """
    where = "tlogEntries[]"
    refuse_unknown(entry, _MEMBERS, where=where, reason=_INVALID)
    # 1. Which log: exactly the one that the entry names.
    identifier = member(entry, "logId", dict, where=where, reason=_INVALID)
    refuse_unknown(identifier, {"keyId"}, where=f"{where}.logId", reason=_INVALID)
    log_id = base64_member(identifier, "keyId", where=f"{where}.logId", reason=_INVALID)
    keys = tuple(log for log in logs if log.log_id == log_id)
    if not keys:
        raise ProvenanceError(_INVALID, f"the log entry is of log {log_id.hex()[:16]}…, which the trust root does not hold")
    # 2. What the entry is.
    kinds = member(entry, "kindVersion", dict, where=where, reason=_INVALID)
    refuse_unknown(kinds, {"kind", "version"}, where=f"{where}.kindVersion", reason=_INVALID)
    kind = member(kinds, "kind", str, where=f"{where}.kindVersion", reason=_INVALID)
    version = member(kinds, "version", str, where=f"{where}.kindVersion", reason=_INVALID)
    body = base64_member(entry, "canonicalizedBody", where=where, reason=_INVALID)
    index = integer_member(entry, "logIndex", where=where, reason=_INVALID)
    # 3. The proof that the log's tree has it.
    proof = optional(entry, "inclusionProof", dict, where=where, reason=_INVALID)
    if proof is not None:
        proven = _check_proof(proof, body, keys[0], checkpoint_needed=proof_needed)
        # Version 1 counts over all its trees and its proofs count in one, so the two differ there; version 2 has one number.
        if (kind, version) not in _DATED and proven != index:
            raise ProvenanceError(_INVALID, f"{where}.logIndex is {index}, and the inclusion proof is for entry {proven}")
    elif proof_needed:
        raise ProvenanceError(_INVALID, f"{where} has no inclusionProof; only bundles of version 0.1 may do without")
    # 4. The log's promise, which is what dates the entry.
    promise = optional(entry, "inclusionPromise", dict, where=where, reason=_INVALID)
    seconds = integer_member(entry, "integratedTime", where=where, reason=_INVALID)
    if promise is None and not proof_needed:
        raise ProvenanceError(_INVALID, f"{where} has no inclusionPromise; bundles of version 0.1 need it")
    if (promise is not None or seconds) and (kind, version) not in _DATED:
        raise ProvenanceError(_INVALID, f"entries of kind {kind[:40]!r} {version[:40]!r} are not dated by their log; a timestamp authority dates them")
    integrated_at = None if promise is None else _promised(promise, body, keys[0], index=index, seconds=seconds)
    return LogEntry(keys=keys, index=index, kind=kind, version=version, body=body, integrated_at=integrated_at)


def _check_proof(proof: JsonObject, body: bytes, log: LogKey, *, checkpoint_needed: bool) -> int:
    """Check an inclusion proof against the checkpoint beside it; the index that it proves."""
    where = "inclusionProof"
    refuse_unknown(proof, {"logIndex", "rootHash", "treeSize", "hashes", "checkpoint"}, where=where, reason=_INVALID)
    index = integer_member(proof, "logIndex", where=where, reason=_INVALID)
    size = integer_member(proof, "treeSize", where=where, reason=_INVALID)
    hashes = optional(proof, "hashes", list, where=where, reason=_INVALID) or []
    if len(hashes) > PROOF_LIMIT:
        raise ProvenanceError(_INVALID, f"the inclusion proof has {len(hashes)} hashes; at most {PROOF_LIMIT} are read")
    path = []
    for each in hashes:
        if not isinstance(each, str):
            raise ProvenanceError(_INVALID, f"{where}.hashes holds something that is no string")
        path.append(decoded(each, where=f"{where}.hashes", reason=_INVALID))
    root = root_of(body, index=index, size=size, path=path)
    if root != base64_member(proof, "rootHash", where=where, reason=_INVALID):
        raise ProvenanceError(_INVALID, "the inclusion proof does not lead from the entry to the root hash")
    envelope = optional(proof, "checkpoint", dict, where=where, reason=_INVALID)
    if envelope is None:
        if checkpoint_needed:
            raise ProvenanceError(_INVALID, "the inclusion proof has no checkpoint: nobody signed its root hash")
        return index
    refuse_unknown(envelope, {"envelope"}, where=f"{where}.checkpoint", reason=_INVALID)
    checkpoint = Checkpoint.parse(member(envelope, "envelope", str, where=f"{where}.checkpoint", reason=_INVALID))
    checkpoint.check_signed(log)
    if checkpoint.size != size:
        raise ProvenanceError(_INVALID, f"the inclusion proof is for a tree of size {size}, the log signed another ({checkpoint.size})")
    if checkpoint.root != root:
        raise ProvenanceError(_INVALID, "the inclusion proof is for another tree than the one that the log signed")
    return index


def _promised(promise: JsonObject, body: bytes, log: LogKey, *, index: int, seconds: int) -> datetime:
    """Check a signed entry timestamp; the time that it signs."""
    where = "inclusionPromise"
    refuse_unknown(promise, {"signedEntryTimestamp"}, where=where, reason=_INVALID)
    signature = base64_member(promise, "signedEntryTimestamp", where=where, reason=_INVALID)
    if not 0 < seconds <= _YEAR_9999:
        raise ProvenanceError(_INVALID, f"the log promises the entry for {seconds} where seconds since 1970 belong")
    signed = canonical({"body": encoded(body), "integratedTime": seconds, "logID": log.log_id.hex(), "logIndex": index})
    if not log.key.verifies(signature, signed):
        raise ProvenanceError(_INVALID, "the log's promise (signedEntryTimestamp) is not about this entry, or not by the log that it names")
    return datetime.fromtimestamp(seconds, tz=UTC)
