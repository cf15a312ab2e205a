"""A recording on disk: every line is looked at once, and only those that are drawn are read again.

What is kept of a line is where it is and two hashes, so that a day of traffic fits into memory. The order of the sample is that of SHA-256 over
`sample:<seed>:<id>`: whatever the order of the lines, the same seed draws the same ones, and a larger sample begins with the smaller.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Self

from sluice.scoring.protocols.template import Pointer
from sluice.scoring.replay.requests import LINE_BYTES, LeftOut, Request, Unusable, document_of, request_of

FILE_BYTES: Final = 64 << 30
_NAMED: Final = 20
"""Slices that are named to people, at most."""
LINES: Final = 4_000_000


class RecordingRefused(ValueError):
    """A recording that is not read; the message names the file and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Record:
    """A line that asks something. In the order of the sample; `content` decides between two with the same id."""

    place: bytes
    content: bytes
    file: int
    start: int
    stratum: str
    """The value of the dimension that the sample is drawn by; "" without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file as it was read."""

    name: str
    digest: str
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What is in the files. `left_out` counts the lines that ask nothing by reason; `examples` has the first line of each, in words."""

    sources: tuple[Source, ...]
    records: tuple[Record, ...]
    left_out: Mapping[LeftOut, int]
    examples: Mapping[LeftOut, str]


def read_recording(paths: Sequence[Path], *, seed: int, slices: Mapping[str, Pointer], stratify: str | None) -> Recording:
    """Look at every line. `stratify` names the dimension to draw by. Raises RecordingRefused, also when no line has it; OSError."""
    sources: list[Source] = []
    records: list[Record] = []
    left_out: dict[LeftOut, int] = {}
    examples: dict[LeftOut, str] = {}
    dimensions: set[str] = set()
    for number, path in enumerate(paths):
        if path.stat().st_size > FILE_BYTES:
            raise RecordingRefused(f"{path.name} is larger than {FILE_BYTES >> 30} GiB; cut it into parts of a day each")
        digest, lines = hashlib.sha256(), 0
        with path.open("rb") as file:
            for start, line in _lines(file, digest):
                lines += 1
                try:
                    request = request_of(document_of(line), slices=slices)
                except Unusable as error:
                    left_out[error.reason] = left_out.get(error.reason, 0) + 1
                    examples.setdefault(error.reason, f"line {lines} of {path.name}: {error}")
                    continue
                if len(dimensions) < _NAMED:
                    dimensions.update(request.slices)
                records.append(_record(request, line, seed=seed, file=number, start=start, stratify=stratify))
                if len(records) > LINES:
                    raise RecordingRefused(f"there are more than {LINES:,} requests; record fewer, such as every tenth")
        sources.append(Source(name=path.name, digest="sha256:" + digest.hexdigest(), lines=lines))
    if stratify is not None and records and not any(record.stratum for record in records):
        known = ", ".join(sorted(dimensions)[:_NAMED]) or "none"
        raise RecordingRefused(
            f"no line has the slice {stratify!r} to draw by; there are: {known}. Name one of them, or say where it stands: --slice {stratify}=/…"
        )
    return Recording(sources=tuple(sources), records=tuple(sorted(records)), left_out=left_out, examples=examples)


class Lines:
    """Lines of the files by where they begin. A context manager."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._files: list[BinaryIO] = []

    def __enter__(self) -> Self:
        self._files = [path.open("rb") for path in self._paths]
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()

    def of(self, record: Record) -> bytes:
        """Read the line of a record. Raises RecordingRefused when the file is another one by now."""
        file = self._files[record.file]
        file.seek(record.start)
        line = file.readline(LINE_BYTES + 1)
        if hashlib.sha256(line).digest() != record.content:
            raise RecordingRefused(f"{self._paths[record.file].name} has changed while it was read; record to another file meanwhile")
        return line


def _record(request: Request, line: bytes, *, seed: int, file: int, start: int, stratify: str | None) -> Record:
    stratum = "" if stratify is None else str(request.slices.get(stratify, ""))
    place = hashlib.sha256(f"sample:{seed}:{request.id}".encode("utf-8", "surrogatepass")).digest()
    return Record(place=place, content=hashlib.sha256(line).digest(), file=file, start=start, stratum=stratum)


def _lines(file: BinaryIO, digest: hashlib._Hash) -> Iterator[tuple[int, bytes]]:
    """Where each line begins, and the line; of one that is too long only the beginning, which is no JSON. Empty lines are none."""
    start = 0
    while line := file.readline(LINE_BYTES + 1):
        digest.update(line)
        length = len(line)
        rest = line
        while not rest.endswith(b"\n") and (rest := file.readline(LINE_BYTES)):
            digest.update(rest)
            length += len(rest)
        if line.strip():
            yield start, line
        start += length
