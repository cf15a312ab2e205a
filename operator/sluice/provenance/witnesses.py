"""Who else saw a signature, and when: logs and timestamp authorities, all that a bundle brings.

Everything that a bundle brings has to hold. One witness that lies, or that the trust root does not know, is not outvoted by others: whoever put it there wanted
something.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sluice.provenance.envelope import UnverifiedBundle
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.log_body import Signatory, check_about
from sluice.provenance.log_entry import LogEntry, verify_log_entry
from sluice.provenance.signed_content import SignedContent
from sluice.provenance.sigstore_root import SigstoreRoot
from sluice.provenance.timestamp import verify_timestamps

_NO_PROOF = "0.1"
"""The bundle version that may bring a log's promise without its proof."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """How many distinct authorities have to vouch for a signature. Two entries of one log, or two keys of one operator, are one."""

    logs: int
    """Operators of transparency logs."""
    timestamps: int
    """RFC 3161 authorities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """When a signature was seen, by the word of authorities; empty when nobody dated it."""

    times: tuple[datetime, ...]
    signed_at: datetime | None
    """The earliest time of a log; of a timestamp authority when no log dated it."""


def verify_witnesses(bundle: UnverifiedBundle, signed: SignedContent, by: Signatory, root: SigstoreRoot, required: Thresholds) -> Witnessed:
    """Verify all log entries and timestamps of `bundle` with `root`.

    Raises ProvenanceError: LogEntryInvalid, TimestampInvalid, TrustExpired, TooFewWitnesses.
    """
    # 1. Each entry is in its log, and about this signature.
    entries = [verify_log_entry(entry, root.logs, proof_needed=bundle.version != _NO_PROOF) for entry in bundle.log_entries]
    for entry in entries:
        check_about(entry, signed, by)
    if len({(entry.keys[0].log_id, entry.index) for entry in entries}) != len(entries):
        raise ProvenanceError(Reason.LogEntryInvalid, "the bundle has the same log entry twice")
    # 2. Each timestamp is over this signature, by an authority that was valid then.
    stamps = verify_timestamps(bundle.timestamps, bundle.signature, root.timestamp_authorities)
    # 3. Each log was valid at all of these times.
    logged = [entry.integrated_at for entry in entries if entry.integrated_at is not None]
    stamped = [stamp.time for stamp in stamps]
    times = (*logged, *stamped)
    for entry in entries:
        _check_window(entry, times)
    # 4. There are enough, of different people.
    logs = {entry.keys[0].operator for entry in entries}
    authorities = {stamp.authority for stamp in stamps}
    for what, found, needed in (("transparency logs", logs, required.logs), ("timestamp authorities", authorities, required.timestamps)):
        if len(found) < needed:
            raise ProvenanceError(Reason.TooFewWitnesses, f"the signature was seen by {len(found)} {what}; the trust root asks for {needed} different ones")
    return Witnessed(times=times, signed_at=min(logged or stamped, default=None))


def _check_window(entry: LogEntry, times: tuple[datetime, ...]) -> None:
    if not any(key.window.holds(times) for key in entry.keys):
        said = ", ".join(sorted({time.isoformat() for time in times}))
        raise ProvenanceError(Reason.TrustExpired, f"the transparency log was not valid when this was signed ({said})")
