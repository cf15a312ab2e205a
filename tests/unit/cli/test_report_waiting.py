"""The report of a comparison whose promotion had to wait for a minimum time."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from sluice.cli.report.as_json import numbers
from sluice.cli.report.detail import judged
from sluice.cli.report.numbers import read_run
from sluice.cli.report.page import page
from tests.unit.cli.canary_runs import PROMOTED, WAITING
from tests.unit.cli.canary_statistics import plan
from tests.unit.scoring.test_judgement import FINE_THEN_WORSE, PLANNED, merged


def test_a_report_says_how_long_a_promotion_had_to_wait() -> None:
    assert "no promotion before" not in page(read_run(PROMOTED), None)
    assert numbers(read_run(PROMOTED))["minDuration"] is None
    assert "no promotion before 15m are over" in page(read_run(WAITING), None)
    assert numbers(read_run(WAITING))["minDuration"] == "15m"


def test_a_run_whose_promotion_waits_is_judged_again_by_the_same_rule() -> None:
    waits = read_run(WAITING).inputs
    unsliced = plan(planned=PLANNED).model_copy(update={"slices": []})
    found = [
        judged(unsliced, merged(FINE_THEN_WORSE), inputs, {"accuracy": Decimal("0.05")})[0].decision for inputs in (waits, replace(waits, min_duration=None))
    ]
    assert found == ["RollBack", "Promote"]
