"""From the rows of a table to scored samples, line by line; the reader of the cluster then says whether they are any.

What a column is, its name says (`id`, `scores.accuracy`, `slices.region`, and `accuracy/score` as MLflow writes it), or whoever converts. Nothing is filled in:
an answer without its score is refused, and so is what could be read as more than one number.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import isfinite
from typing import Final

from sluice.api.strict_json import JsonObject, JsonValue, canonical
from sluice.cli.convert.tables import Table
from sluice.evidence.harness.raw import BYTES_LIMIT
from sluice.evidence.harness.scores import slices_of
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.statement import text

ID: Final = "id"
SCORES: Final = "scores."
SLICES: Final = "slices."
_MLFLOW_SCORE: Final = "/score"
_MALFORMED: Final = Reason.RawResultMalformed
_ANSWERS: Final = {"yes": 1, "no": 0}
_ID_DIGITS: Final = 32


class CannotChoose(ValueError):
    """Columns that are asked for and not there, or needed and not named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which columns are read, and as what."""

    case: tuple[str, ...]
    is_digest: bool
    """The case is named by a digest of `case`; else by the only column there."""
    scores: Mapping[str, str]
    """Metric to column."""
    slices: Mapping[str, str]
    """Field to column."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Each of them once."""
        return tuple(dict.fromkeys((*self.case, *self.scores.values(), *self.slices.values())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Scored samples, as they are signed."""

    content: bytes
    rows: int
    without: Counter[str] = field(default_factory=Counter)
    """How many rows have no value of a slice."""


def choose(columns: Sequence[str], *, named: Mapping[str, str], id_of: Sequence[str]) -> Chosen:
    """Choose by what people named, and by name what they left open: who names one score or slice has named them all. Raises CannotChoose."""
    for column in (*named.values(), *id_of):
        if column not in columns:
            raise CannotChoose(f"there is no column {column[:100]!r}; there are {_list(columns)}")
    by_name = {column: column for column in columns if column == ID or column.startswith((SCORES, SLICES))}
    for column in columns:
        if column.endswith(_MLFLOW_SCORE) and column != _MLFLOW_SCORE:
            by_name.setdefault(SCORES + column.removesuffix(_MLFLOW_SCORE), column)
    scores, slices = (_of(kind, named) or _of(kind, by_name) for kind in (SCORES, SLICES))
    if not scores:
        raise CannotChoose(f"no column is a score: name it, with --column scores.METRIC=COLUMN; there are {_list(columns)}")
    case = named.get(ID) or by_name.get(ID)
    if id_of and ID in named:
        raise CannotChoose("give --column id=COLUMN or --id-of, not both: a case has one name")
    if not id_of and not case:
        raise CannotChoose(
            "no column names the case: name it, with --column id=COLUMN, or have the name made of what was asked, with --id-of COLUMN "
            f"(the same question is the same case, in every file); there are {_list(columns)}"
        )
    return Chosen(case=tuple(id_of) or (str(case),), is_digest=bool(id_of), scores=scores, slices=slices)


def lines_of(table: Table, chosen: Chosen, header: JsonObject) -> Lines:
    """Write scored samples, at most as many bytes as a cluster reads. Raises ProvenanceError (RunIncomplete, RawResultMalformed) with row and column."""
    content = bytearray(_line(header))
    wanted, rows, without = chosen.columns, 0, Counter[str]()
    for rows, values in enumerate(table.rows(wanted), start=1):
        row = dict(zip(wanted, values, strict=True))
        sample: JsonObject = {"id": _case(row, chosen, rows)}
        sample["scores"] = {metric: _score(row[column], column, rows) for metric, column in chosen.scores.items()}
        slices = _slices(row, chosen, rows)
        without.update(chosen.slices.keys() - slices.keys())
        if slices:
            sample["slices"] = slices
        content += _line(sample)
        if len(content) > BYTES_LIMIT:
            raise ProvenanceError(_MALFORMED, f"row {rows:,}: comes to more than the {BYTES_LIMIT:,} bytes a cluster reads; convert fewer scores or slices")
    if not rows:
        raise ProvenanceError(Reason.RunIncomplete, "there are no rows: nothing was answered")
    return Lines(content=bytes(content), rows=rows, without=without)


def _of(kind: str, fields: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix(kind): column for name, column in fields.items() if name.startswith(kind)}


def _case(row: Mapping[str, JsonValue], chosen: Chosen, number: int) -> str:
    if not chosen.is_digest:
        column = chosen.case[0]
        try:
            # The reader's own rule for a name.
            return text({column: _text(row[column], column, number)}, column, where=f"row {number:,}", reason=_MALFORMED)
        except ProvenanceError as error:
            raise ProvenanceError(error.reason, f"{error}; name cases by another column, or make names of it with --id-of") from None
    for column in chosen.case:
        if row[column] is None or row[column] != row[column]:
            raise ProvenanceError(_MALFORMED, f"{_where(number, column)} is {_shown(row[column])}: no name can be made of it")
    return sha256(canonical([row[column] for column in chosen.case])).hexdigest()[:_ID_DIGITS]


def _slices(row: Mapping[str, JsonValue], chosen: Chosen, number: int) -> JsonObject:
    found: JsonObject = {}
    for key, column in chosen.slices.items():
        if row[column] is None:
            continue
        found[key] = _text(row[column], column, number)
        if key not in slices_of({key: found[key]}):
            raise ProvenanceError(
                _MALFORMED, f"{_where(number, column)} is {_shown(row[column])}; a slice and its values have 1 to 120 printable characters, and its name no ="
            )
    return found


def _score(value: JsonValue, column: str, number: int) -> float:
    where = _where(number, column)
    if value is None:
        raise ProvenanceError(Reason.RunIncomplete, f"{where} is null: the answer was not scored; score it, or run the case again")
    if isinstance(value, str) and value in _ANSWERS:
        return _ANSWERS[value]
    if isinstance(value, (str, dict, list)):
        raise ProvenanceError(_MALFORMED, f"{where} is {_shown(value)}; a score is a number, true or false, yes or no")
    # Whole numbers stay what they are, and yes is 1.
    score = int(value) if isinstance(value, int) else float(value)
    if not isfinite(score):
        raise ProvenanceError(Reason.RunIncomplete, f"{where} is {score}: no number came of the answer; score it, or run the case again")
    return score


def _text(value: JsonValue, column: str, number: int) -> str:
    """What a case or a slice is called: texts, whole numbers, true and false."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    raise ProvenanceError(_MALFORMED, f"{_where(number, column)} is {_shown(value)}; cases and slices are named by texts, whole numbers, true or false")


def _where(number: int, column: str) -> str:
    return f"row {number:,}, column {column[:100]!r}"


def _shown(value: JsonValue) -> str:
    return "null" if value is None else "a list" if isinstance(value, list) else "an object" if isinstance(value, dict) else repr(value)[:100]


def _list(columns: Sequence[str]) -> str:
    most = 20
    return ", ".join(repr(each[:60]) for each in columns[:most]) + (f" and {len(columns) - most:,} more" if len(columns) > most else "")


def _line(document: JsonObject) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"
