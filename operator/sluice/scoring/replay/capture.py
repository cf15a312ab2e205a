"""From a recording to cases: drawn, without secrets, each question once, and a manifest that says how it came about.

1. *Drawn* in the order of the recording's sample; with a dimension to stratify by, one from each of its values in turn. So a sample of 2,000 begins with that
   of 1,000. A question that was asked often is likelier to be drawn, and is one case all the same: its answers depend on each other.
2. *Redacted* before anything else looks at it; what cannot be is left out.
3. *Checked* as the suite's own cases are, by the code that will read the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from sluice.api.strict_json import JsonObject, JsonValue, canonical
from sluice.scoring.case import Case
from sluice.scoring.cases import FILE_BYTES, CasesRefused, read_cases
from sluice.scoring.interpret import SuiteRefused
from sluice.scoring.protocols.template import Pointer
from sluice.scoring.replay.recording import Record, Recording
from sluice.scoring.replay.redaction import Redactor, names_in
from sluice.scoring.replay.requests import LeftOut, Unusable, digest_of, document_of, request_of

MANIFEST_TYPE: Final = "sluice.dev/replay/v1"
_STRATA: Final = 256
_ID_DIGITS: Final = 24

Check = Callable[[Case], None]
"""Raises SuiteRefused for a case that the suite cannot ask or score."""


class CaptureRefused(ValueError):
    """No cases come of this; the message says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to draw. `tags` are given to every case."""

    cases: int
    seed: int
    slices: Mapping[str, Pointer]
    stratify: str | None = None
    tags: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """The bytes of a file of cases, and the manifest."""

    cases: bytes
    manifest: JsonObject
    examples: Mapping[LeftOut, str]
    """Of each reason to leave out a line, one case in words, for the person who records; they may quote it, so they are not in the manifest."""


def capture(recording: Recording, line_of: Callable[[Record], bytes], redactor: Redactor, wanted: Wanted, *, check: Check, key_is_kept: bool) -> Captured:
    """Draw cases. Raises CaptureRefused, and RecordingRefused when a file changes meanwhile."""
    drawing = _Drawing(recording, line_of, redactor, wanted, check)
    lines: list[bytes] = []
    size, strata, replaced = 0, Counter[str](), Counter[str]()
    for line, stratum in islice(_in_turn(drawing, recording.records), wanted.cases):
        lines.append(line)
        size += len(line)
        if size > FILE_BYTES:
            raise CaptureRefused(f"{len(lines):,} cases are more than the {FILE_BYTES >> 20} MiB that a suite reads; draw fewer than that")
        strata[redactor.text(stratum)] += 1
        replaced.update(names_in(line.decode()))
    if not lines:
        told = "; ".join(f"{reason}: {example}" for reason, example in sorted(drawing.examples.items()))
        raise CaptureRefused(f"no line of the recording makes a case{f' ({told})' if told else ''}")
    content = b"".join(lines)
    manifest: JsonObject = {
        "type": MANIFEST_TYPE,
        "recordings": [{"name": source.name, "digest": source.digest, "lines": source.lines} for source in recording.sources],
        "seed": wanted.seed,
        "requests": len(recording.records),
        "asked": wanted.cases,
        "cases": {"digest": read_cases(content).digest, "number": len(lines)},
        "alike": drawing.alike,
        "leftOut": {str(reason): count for reason, count in sorted(drawing.left_out.items())},
        "replaced": {name: replaced[name] for name in sorted(replaced)},
        "key": redactor.fingerprint if key_is_kept else None,
    }
    if wanted.stratify is not None:
        manifest["strata"] = {"dimension": wanted.stratify, "cases": dict(sorted(strata.items()))}
    return Captured(cases=content, manifest=manifest, examples=drawing.examples)


class _Drawing:
    """Makes cases of records, each question once, and counts what comes of the others."""

    def __init__(self, recording: Recording, line_of: Callable[[Record], bytes], redactor: Redactor, wanted: Wanted, check: Check) -> None:
        self._line_of, self._redactor, self._wanted, self._check = line_of, redactor, wanted, check
        self._seen: set[str] = set()
        self.left_out = Counter(recording.left_out)
        self.examples = dict(recording.examples)
        self.alike = 0

    def cases(self, records: Iterable[Record]) -> Iterator[tuple[bytes, str]]:
        """Lines of cases, with the stratum of each."""
        for record in records:
            try:
                question, line = self._case(self._line_of(record))
            except Unusable as error:
                self.left_out[error.reason] += 1
                self.examples.setdefault(error.reason, str(error))
                continue
            if question in self._seen:
                self.alike += 1
                continue
            self._seen.add(question)
            yield line, record.stratum

    def _case(self, raw: bytes) -> tuple[str, bytes]:
        """The digest of the question, and the line of the case. Raises Unusable."""
        request = request_of(document_of(raw), slices=self._wanted.slices)
        redactor = self._redactor
        asked = redactor.members(request.input, numbers="tensors" not in request.input)
        slices = redactor.members(request.slices, numbers=True)
        # A tag with a secret in it selects nothing that anybody asks for.
        tags: list[JsonValue] = [*sorted({*self._wanted.tags, *(tag for tag in map(str, request.tags) if redactor.text(tag) == tag)})]
        question = digest_of(asked)
        line = canonical({"id": f"r-{question[:_ID_DIGITS]}", "input": asked, "slices": slices, "tags": tags}) + b"\n"
        try:
            self._check(read_cases(line).all[0])
        except CasesRefused as error:
            raise Unusable(LeftOut.INVALID, str(error)) from None
        except SuiteRefused as error:
            raise Unusable(LeftOut.UNSUITABLE, str(error)) from None
        return question, line


def _in_turn(drawing: _Drawing, records: Sequence[Record]) -> Iterator[tuple[bytes, str]]:
    """One case of each stratum in turn; the stratum whose first record comes first in the sample begins."""
    strata: dict[str, list[Record]] = {}
    for record in records:
        strata.setdefault(record.stratum, []).append(record)
    if len(strata) > _STRATA:
        raise CaptureRefused(f"the dimension to stratify by has {len(strata):,} values; at most {_STRATA} slices can be told apart: choose a coarser one")
    left = [drawing.cases(part) for part in sorted(strata.values())]
    while left:
        drawn = [(part, next(part, None)) for part in left]
        left = [part for part, found in drawn if found is not None]
        yield from (found for _, found in drawn if found is not None)
