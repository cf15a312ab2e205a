"""What verification came to, kept under `fact_key`: a bundle against a trust root is verified once, however often it is asked about.

The same bundle in fifty namespaces, evidence that is deleted and applied again, a trust root that is changed and changed back: each is one verification. Facts
of evidence that exists are held by whoever uses them; what is kept here beyond that is bounded by number and by the size of what was verified, the longest
unused go first. Not thread-safe: `Check.verify` is what another thread may do, `get` and `put` belong to whoever owns the cache.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sluice.evidence.facts import Fact, establish, fact_key
from sluice.provenance.errors import ProvenanceError, Reason, quoted
from sluice.provenance.trust import TrustAnchors

MOST_KEPT: Final = 16_384
"""Outcomes, at most."""
MOST_BYTES: Final = 64 << 20
"""Bytes of the bundles and files behind them, at most; a fact takes a small multiple of what it was read from."""

Outcome = Fact | ProvenanceError


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One bundle with its files, to be verified against one trust root."""

    key: str
    """Its `fact_key`."""
    bundle: bytes = field(repr=False)
    attachments: Mapping[str, bytes] = field(repr=False)
    anchors: TrustAnchors

    @classmethod
    def of(cls, content: str, bundle: bytes, attachments: Mapping[str, bytes], anchors: TrustAnchors) -> Check:
        """Make a check of what `content_digest` is `content`."""
        return cls(key=fact_key(content, anchors), bundle=bundle, attachments=attachments, anchors=anchors)

    @property
    def size(self) -> int:
        """Bytes that are verified."""
        return len(self.bundle) + sum(len(content) for content in self.attachments.values())

    def verify(self) -> Outcome:
        """Verify; an error is an outcome like a fact. Raises nothing, and may run in any thread."""
        try:
            return establish(self.bundle, self.attachments, self.anchors)
        except ProvenanceError as error:
            return ProvenanceError(error.reason, str(error))  # a new one: the old one holds every frame it passed, and with them all bytes
        except Exception as error:  # noqa: BLE001 - whatever strangers' bytes do to a library, the evidence is refused and nothing else suffers
            return ProvenanceError(Reason.BundleMalformed, f"the verification broke off: {type(error).__name__}: {quoted(error)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    outcome: Outcome
    size: int


class FactCache:
    """Outcomes by `fact_key`, the longest unused forgotten first."""

    def __init__(self, *, most: int = MOST_KEPT, most_bytes: int = MOST_BYTES) -> None:
        """Start empty."""
        self._most, self._most_bytes = most, most_bytes
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        """How many outcomes are kept."""
        return len(self._kept)

    @property
    def size(self) -> int:
        """Bytes of what they were read from."""
        return self._bytes

    def get(self, key: str) -> Outcome | None:
        """Give an outcome, when it is known."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found.outcome

    def put(self, check: Check, outcome: Outcome) -> None:
        """Keep an outcome, and forget others for it."""
        before = self._kept.pop(check.key, None)
        self._kept[check.key] = _Kept(outcome=outcome, size=check.size)
        self._bytes += check.size - (before.size if before else 0)
        while self._kept and (len(self._kept) > self._most or self._bytes > self._most_bytes):
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.size
