"""Windows of time in which a key or a certificate vouches for anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From `start` to `end`, both inclusive (Sigstore's `TimeRange` is closed, and so is RFC 5280's validity); None has no end on that side."""

    start: datetime | None
    end: datetime | None

    def holds(self, times: Iterable[datetime]) -> bool:
        """Whether each of `times` is inside."""
        return all((self.start is None or self.start <= time) and (self.end is None or time <= self.end) for time in times)


FOREVER = Window(start=None, end=None)


def window_of(certificate: x509.Certificate) -> Window:
    """When the certificate itself says that it is valid."""
    return Window(start=certificate.not_valid_before_utc, end=certificate.not_valid_after_utc)
