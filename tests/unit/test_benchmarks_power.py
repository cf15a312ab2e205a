"""The judge of the engine is judged: a broken promise shows, an unsteady answer shows, and exact error rates are those of all possible runs."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import combinations_with_replacement, product
from statistics import NormalDist

import numpy as np
import pytest

from benchmarks import canary_power
from benchmarks.canary.cells import Cell, Goal, as_hard, table
from benchmarks.canary.figures import OURS, Count, Exactly, Figures, markdown
from benchmarks.canary.peers import PEERS, Verdict
from benchmarks.canary.populations import Flips, Models
from benchmarks.canary.releases import draw
from benchmarks.canary_exact import at_margin, exact
from benchmarks.canary_power import Work, simulate, unsteady
from sluice.scoring import Decision, decide

EDGE = Cell(group="edges", name="edge", kind=Flips(churn=0.09), effect=-0.02, planned=200)


def counted(*, rolled_back: int = 0, promoted: int = 0, undecided: int = 0) -> Count:
    return Count(rolled_back=[100] * rolled_back, promoted=[200] * promoted, undecided=undecided)


def figures(cell: Cell, count: Count) -> Figures:
    return Figures(cell=cell, rates={OURS: count.summary(), **{name: Count().summary() for name in PEERS}})


def test_a_promise_is_broken_only_where_chance_does_not_explain_it() -> None:
    # 6.5 of 100 in 1000 runs has a lower 99 % bound of 4.8 %, 7.5 one of 5.7 %.
    assert figures(EDGE, counted(rolled_back=65, undecided=935)).broken == ()
    assert figures(EDGE, counted(rolled_back=75, undecided=925)).broken == ("RollBack",)
    assert figures(EDGE, counted(promoted=75, undecided=925)).broken == ("Promote",)


def test_a_right_decision_is_no_broken_promise_however_frequent() -> None:
    healthy = Cell(group="", name="", kind=Flips(churn=0.09), effect=0)
    assert figures(healthy, counted(promoted=1000)).broken == ()
    worse = Cell(group="", name="", kind=Flips(churn=0.09), effect=-0.1)
    assert figures(worse, counted(rolled_back=1000)).broken == ()


def test_one_unsteady_answer_breaks_the_promise() -> None:
    count = counted(undecided=1000)
    count.unsteady = 1
    assert figures(EDGE, count).broken == ("steady",)


def test_a_goal_is_missed_by_a_share_or_by_a_median() -> None:
    cell = Cell(group="", name="", kind=Flips(churn=0.09), effect=-0.1, goal=Goal(rolled_back=0.9, median=90))
    assert figures(cell, counted(rolled_back=95, undecided=5)).missed == ("median",)
    assert figures(cell, counted(rolled_back=60, undecided=40)).missed == ("rolled back", "median")
    lax = Cell(group="", name="", kind=Flips(churn=0.09), effect=-0.1, goal=Goal(rolled_back=0.9, median=100))
    assert figures(lax, counted(rolled_back=95, undecided=5)).missed == ()


def test_the_median_counts_runs_without_a_decision() -> None:
    assert counted(rolled_back=6, undecided=4).summary().median == 100
    assert counted(rolled_back=4, undecided=6).summary().median == float("inf")


def test_figures_are_read_back_from_json_as_they_were() -> None:
    cell = table()[0]
    figure = figures(cell, counted(promoted=3, rolled_back=1, undecided=9))
    again = Figures.from_json(json.loads(json.dumps(figure.as_json())))
    assert again == figure
    assert markdown([again]) == markdown([figure])
    assert cell.name in markdown([figure])


def test_the_same_work_is_simulated_to_the_same_figures() -> None:
    place = next(place for place, cell in enumerate(table()) if cell.name == "at −τ, low churn, τ 2, n 50")
    work = Work(cell=place, chunk=3, runs=10, runs_of_peers=2)
    (_, first), (_, again) = simulate(work), simulate(work)
    assert {name: (count.rolled_back, count.promoted, count.undecided) for name, count in first.items()} == {
        name: (count.rolled_back, count.promoted, count.undecided) for name, count in again.items()
    }
    assert first[OURS].summary().runs == 10
    assert first["Kayenta"].summary().runs == 2


def test_an_engine_that_looks_at_what_came_later_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Cell(group="", name="", kind=Flips(churn=0.09), effect=-0.5, planned=200)
    release = draw(cell, np.random.default_rng(1))
    assert not unsteady(cell, release, np.random.default_rng(2))

    def nosy(d: np.ndarray, *_: object, **__: object) -> tuple[Decision, int]:
        return (Decision.ROLL_BACK if float(np.sum(d)) < -60 else Decision.PROMOTE), 10

    monkeypatch.setattr(canary_power, "decide", nosy)
    assert unsteady(cell, release, np.random.default_rng(2))


def test_an_engine_that_decides_only_when_everything_is_there_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Cell(group="", name="", kind=Flips(churn=0.09), effect=-0.5, planned=200)
    release = draw(cell, np.random.default_rng(1))

    def late(d: np.ndarray, *_: object, **__: object) -> tuple[Decision, int]:
        return (Decision.ROLL_BACK, 10) if len(d) == 200 else (Decision.INCONCLUSIVE, len(d))

    monkeypatch.setattr(canary_power, "decide", late)
    assert unsteady(cell, release, np.random.default_rng(2))


def test_an_engine_that_is_moved_by_answers_after_its_decision_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Cell(group="", name="", kind=Flips(churn=0.09), effect=-0.5, planned=200)
    release = draw(cell, np.random.default_rng(1))

    def swayed(d: np.ndarray, *_: object, **__: object) -> tuple[Decision, int]:
        extreme = len(d) == 200 and not -0.9 < float(np.mean(d[10:])) < -0.2
        if len(d) < 10:
            return Decision.INCONCLUSIVE, len(d)
        return (Decision.PROMOTE if extreme else Decision.ROLL_BACK), 10

    monkeypatch.setattr(canary_power, "decide", swayed)
    assert unsteady(cell, release, np.random.default_rng(2))


@pytest.mark.parametrize(
    ("low", "high", "margin", "between"), [(-500, 900, 0.0, None), (-1000, 500, 0.1, None), (-666, 995, 0.02, (-607, 0.3)), (-1000, 700, 0.0, (1, 0.5))]
)
def test_exact_error_rates_are_those_of_all_possible_runs(low: int, high: int, margin: float, between: tuple[int, float] | None) -> None:
    problem = at_margin(low, high, margin=margin, planned=12, alpha=0.2, between=between)
    assert float(np.dot(problem.values, problem.shares)) == pytest.approx(-margin * 1000)
    places = range(len(problem.values))
    found = {Verdict.ROLL_BACK: 0.0, Verdict.PROMOTE: 0.0, Verdict.INCONCLUSIVE: 0.0}
    # The engine looks at 10 and at 12: before the first look, order means nothing.
    for first, last in product(combinations_with_replacement(places, 10), product(places, repeat=2)):
        ways = math.factorial(10) // math.prod(math.factorial(first.count(place)) for place in places)
        run = [*first, *last]
        decision, _ = decide([problem.values[place] / 1000 for place in run], margin=margin, alpha=0.2, planned=12)
        found[Verdict(decision)] += ways * math.prod(problem.shares[place] for place in run)
    assert sum(found.values()) == pytest.approx(1)
    errors = exact(problem)
    assert errors.rolled_back > 0
    assert errors.promoted > 0
    assert errors.rolled_back == pytest.approx(found[Verdict.ROLL_BACK], abs=1e-7)
    assert errors.promoted == pytest.approx(found[Verdict.PROMOTE], abs=1e-7)


def test_models_are_as_hard_as_the_data_of_a_goal() -> None:
    # A look at 251 units finds −5 points in four of five releases of the middle model.
    members = as_hard(251, drop=0.05, margin=0.0).members
    churns = [member.churn for member in members]
    assert len(churns) == 30
    assert (churns[0], churns[-1]) == pytest.approx((0.02, 0.13))
    deviation = math.sqrt(churns[15] + 0.05 - 0.05**2)
    normal = NormalDist()
    assert 1 - normal.cdf(normal.inv_cdf(0.95) - 0.05 * math.sqrt(251) / deviation) == pytest.approx(0.8)
    differences = [
        float(np.mean(draw(replace(EDGE, kind=Models(middle=0.054), planned=20_000), np.random.default_rng(seed)).differences != 0)) for seed in range(8)
    ]
    assert max(differences) > 2 * min(differences)


def test_the_report_tells_of_two_values_what_holds_and_of_three_what_does_not() -> None:
    def computed(values: int, rolled_back: float) -> dict[str, object]:
        return {"problem": {"values": [0] * values, "alpha": 0.05}, "rolled_back": rolled_back, "promoted": 0.01}

    kept = Exactly.from_json({"errors": [computed(2, 0.04), computed(2, 0.02), computed(3, 0.045)]})
    assert "2 problems" in str(kept)
    assert "**none** of them, and the highest error rate is 0.80 α" in str(kept)
    assert kept.limit == "none of 1 random problems of that kind was above α, the highest at 0.90 α"
    broken = Exactly.from_json({"errors": [computed(2, 0.06), computed(3, 0.01), computed(3, 0.06)]})
    assert "**1** of them, and the highest error rate is 1.20 α" in str(broken)
    assert broken.limit == "1 of 2 random problems of that kind were above α, at 1.20 α"
