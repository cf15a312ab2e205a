"""What a file of rows looks like, whoever wrote it: columns by name, and their values row by row, never all at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from sluice.api.strict_json import JsonValue
from sluice.provenance.errors import ProvenanceError, Reason

Row = tuple[JsonValue, ...]


class Table(Protocol):
    """A file of rows that is open."""

    @property
    def columns(self) -> Sequence[str]:
        """By name, each once."""

    @property
    def header(self) -> bytes | None:
        """What the file says of its run: the first line of scored samples, if it has one."""

    def rows(self, wanted: Sequence[str]) -> Iterator[Row]:
        """The values of these columns. Raises ProvenanceError (RawResultMalformed) for a column, or a row, that cannot be read."""


def each_once(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the names. Raises ProvenanceError (RawResultMalformed) where two are the same: nobody could say which is meant."""
    counts: dict[str, int] = {}
    for name in columns:
        counts[name] = counts.get(name, 0) + 1
    if twice := [name for name, count in counts.items() if count > 1]:
        raise ProvenanceError(Reason.RawResultMalformed, f"two columns are named {twice[0][:100]!r}: rename one of them")
    return tuple(columns)
