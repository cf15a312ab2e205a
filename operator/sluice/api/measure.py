"""A number that an evaluation must reach: by itself, or beside that of the baseline. Named by suite and metric, or by what it says of a model (its family)."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from sluice.api.base import LIST_SET, Decimal, Duration, Line, Model, exactly_one, rule, validations
from sluice.api.families import Better, Family

Tolerance = Annotated[str, StringConstraints(pattern=r"^0(\.[0-9]{1,9})?$", max_length=11)]
"""A difference of scores, at least 0 and below 1, in quotes."""
_BESIDE_THE_BASELINE = ("better", "slices")
_OF_A_SUITE = ("atMost", "better")


class Measure(Model):
    """A number that an evaluation must reach."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            exactly_one("suite", "family"),
            rule("has(self.suite) == has(self.metric)", "suite and metric go together; a family has metrics of its own", field=".metric"),
            exactly_one("atLeast", "atMost", "notWorseThanBaselineBy"),
            rule(
                "!has(self.atLeast) || double(self.atLeast) < 1.0",
                "no number of samples shows that it is always so: ask for less than 1, such as 0.99",
                field=".atLeast",
            ),
            rule(
                "!has(self.atMost) || double(self.atMost) > 0.0",
                "no number of samples shows that it never is: allow more than 0, such as 0.01",
                field=".atMost",
            ),
            *(
                rule(
                    f"!has(self.{field}) || !has(self.family)",
                    f"{field} goes with suite: numbers of a family are read so that 1 is best, whichever way the tool counts",
                    field=f".{field}",
                )
                for field in _OF_A_SUITE
            ),
            *(
                rule(f"!has(self.{field}) || has(self.notWorseThanBaselineBy)", f"{field} goes with notWorseThanBaselineBy", field=f".{field}")
                for field in _BESIDE_THE_BASELINE
            ),
            rule("!has(self.slices) || !has(self.slice)", "slice is one slice, slices are all values of some fields: set one of them", field=".slices"),
        )
    )

    suite: Line | None = None
    """Suite, as the harness names it: an lm-eval or Inspect task, a garak probe, the description of a promptfoo configuration."""
    metric: Line | None = None
    """Metric, as docs/evaluations.md spells it for the harness (`acc`, `match`)."""
    family: Family | None = None
    """In place of suite and metric: every number of this family (docs/families.md) that the run has, at least one. One run meets the whole requirement."""
    slice: Line | None = None
    """Only the cases whose `field=value` (`region=DACH`). Absent: all cases."""
    at_least: Decimal | None = None
    """The lower confidence bound is at least this. The metric lies in [0, 1]; of a family, 1 is best."""
    at_most: Decimal | None = None
    """The upper confidence bound is at most this. The metric lies in [0, 1]."""
    not_worse_than_baseline_by: Tolerance | None = None
    """The release is shown to be worse than its baseline by no more than this, on the same cases. The metric lies in [0, 1]."""
    better: Better | None = None
    """With notWorseThanBaselineBy: which way the metric is better. Absent: Higher."""
    slices: Annotated[list[Line], Field(min_length=1, max_length=8, json_schema_extra=LIST_SET)] | None = None
    """With notWorseThanBaselineBy: fields (`region`) by whose values the cases are compared, too: each value that the baseline's evaluation has."""
    samples_at_least: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """It rests on so many cases, all of them or of the slice. Absent: as many as the confidence needs."""
    confidence: Annotated[str, StringConstraints(pattern=r"^0\.[5-9][0-9]{0,5}$", max_length=8)] = "0.95"
    """One-sided confidence of the bound."""
    max_age: Duration | None = None
    """Longest time since the evaluation was signed."""
