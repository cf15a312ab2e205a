"""A transparency log as a trust root names it: its key, its ids, when it counts, and who runs it."""

from __future__ import annotations

from dataclasses import dataclass

from sluice.provenance.keys import VerificationKey
from sluice.provenance.validity import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class LogKey:
    """One key of one log. A log that changed its key is several of these."""

    log_id: bytes
    """As entries and promises name the log: SHA-256 over the public key (RFC 6962 section 3.2), or the key id of a signed note in full (Rekor version 2)."""
    checkpoint_id: bytes
    """As signatures of checkpoints name the key: the first four bytes count (C2SP signed-note)."""
    key: VerificationKey
    window: Window
    operator: str
    """Who runs it; the log's id when the trust root does not say. Two logs of one operator are one witness."""
