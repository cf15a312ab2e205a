"""One decision over all metrics: which one decides, at which look, and that nothing later changes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest

from sluice.decision.run_reasons import RunReason
from sluice.scoring.judgement import STANDINGS, Decision, Terms, judge, standings, up_to
from sluice.scoring.statistics.looks import looks
from sluice.scoring.tally import Look, Merged

PLANNED = 400
TERMS = Terms(
    margins={"accuracy": Decimal("0.05")}, false_rollback_rate=Decimal("0.05"), false_promotion_rate=Decimal("0.05"), planned=PLANNED, sliced=False
)  # fmt: skip
SLICED = replace(TERMS, sliced=True)
BOTH = replace(TERMS, margins={"accuracy": Decimal("0.05"), "refusal": Decimal("0.05")})
SAME, WORSE = (0,), (0, 0, -1000)
"""Differences that repeat, unit after unit."""


def merged(metrics: Mapping[str, Mapping[str, Sequence[int]]], *, until: int = PLANNED, gates: Mapping[str, int] | None = None) -> Merged:
    """What shards say together when unit k of each slice has the difference k of its pattern."""
    found = []
    for index, (start, end) in enumerate(pairwise([0, *(count for count in looks(PLANNED) if count <= until)])):
        tallies: dict[str, dict[str, dict[int, int]]] = {}
        for metric, slices in metrics.items():
            for name, pattern in slices.items():
                tally = tallies.setdefault(metric, {}).setdefault(name, {})
                for unit in range(start, end):
                    tally[pattern[unit % len(pattern)]] = tally.get(pattern[unit % len(pattern)], 0) + 1000
        found.append(Look(look=index, units=end - start, void=0, tallies=tallies, sums={}))
    return Merged(scored=until, of=PLANNED, finished=until == PLANNED, looks=tuple(found), gates=gates or {}, samples=())


def test_a_candidate_like_its_baseline_is_promoted_and_one_that_is_worse_is_rolled_back() -> None:
    good = judge(merged({"accuracy": {"all": SAME}}), TERMS)
    assert (good.decision, good.reason) == (Decision.PROMOTE, "WithinMargin")
    bad = judge(merged({"accuracy": {"all": WORSE}}), TERMS)
    assert (bad.decision, bad.reason) == (Decision.ROLL_BACK, "WorseThanMargin")
    assert bad.message == "accuracy is worse than its margin of 0.05"
    assert bad.units < PLANNED


def test_one_bad_metric_rolls_back_whatever_the_others_say() -> None:
    found = judge(merged({"accuracy": {"all": SAME}, "refusal": {"all": WORSE}}), BOTH)
    assert (found.decision, found.message) == (Decision.ROLL_BACK, "refusal is worse than its margin of 0.05")


def test_all_metrics_have_to_be_shown_before_a_promotion() -> None:
    silent = judge(merged({"accuracy": {"all": SAME}}), BOTH)
    assert (silent.decision, silent.reason) == (Decision.INCONCLUSIVE, "AllScored")
    assert "refusal" in silent.message
    early = judge(merged({"accuracy": {"all": SAME}}, until=200), BOTH)
    assert early.decision is Decision.PENDING


def test_a_baseline_that_does_not_answer_is_named_where_nothing_is_decided() -> None:
    silent = merged({})
    found = judge(replace(silent, looks=tuple(replace(look, void=look.units) for look in silent.looks)), TERMS)
    assert (found.decision, found.reason) == (Decision.INCONCLUSIVE, "AllScored")
    assert found.message.endswith(f"; {PLANNED} of them count for nothing, because the baseline did not answer")


def test_noise_and_what_else_a_shard_tells_is_no_metric() -> None:
    found = judge(merged({"accuracy": {"all": SAME}, "noise:accuracy": {"all": WORSE}}), TERMS)
    assert found.decision is Decision.PROMOTE


def test_one_hit_of_a_hard_gate_is_enough() -> None:
    found = judge(merged({"accuracy": {"all": SAME}}, gates={"leaks": 1, "tools": 0}), TERMS)
    assert (found.decision, found.reason, found.message) == (Decision.ROLL_BACK, "GateHit", "leaks: 1 answers of the candidate")


def test_what_arrives_after_a_decision_does_not_change_it() -> None:
    metrics: dict[str, dict[str, Sequence[int]]] = {"accuracy": {"all": WORSE}}
    final = judge(merged(metrics), TERMS)
    decided = [judge(merged(metrics, until=until), TERMS) for until in looks(PLANNED)]
    assert {item.decision for item in decided} == {Decision.PENDING, Decision.ROLL_BACK}
    assert all((item.decision, item.units) == (final.decision, final.units) for item in decided if item.decision is not Decision.PENDING)


FINE_THEN_WORSE: dict[str, dict[str, Sequence[int]]] = {"accuracy": {"all": (*[0] * 250, *[-1000] * 150)}}


def test_what_is_found_worse_while_a_promotion_waits_rolls_back() -> None:
    patient = replace(TERMS, waits=True)
    for until in looks(PLANNED):
        if until > 250:
            break
        assert judge(merged(FINE_THEN_WORSE, until=until), patient).decision is not Decision.ROLL_BACK
    early = judge(merged(FINE_THEN_WORSE, until=250), patient)
    assert (early.decision, early.looks) == (Decision.PROMOTE, len(merged(FINE_THEN_WORSE, until=250).looks)), "as of the newest look"
    assert judge(merged(FINE_THEN_WORSE), patient).decision is Decision.ROLL_BACK
    assert judge(merged(FINE_THEN_WORSE), TERMS).decision is Decision.PROMOTE, "without a minimum time it was decided before"


def test_a_rollback_is_found_at_the_same_look_whether_a_promotion_waits_or_not() -> None:
    for pattern in (WORSE, (0, -1000)):
        statistics = merged({"accuracy": {"all": pattern}})
        assert judge(statistics, replace(TERMS, waits=True)) == judge(statistics, TERMS)


def test_what_was_known_then_ends_with_a_look() -> None:
    statistics = merged({"accuracy": {"all": SAME}})
    at = looks(PLANNED)
    assert [len(up_to(statistics, units=units).looks) for units in (0, at[0] - 1, at[0], at[3], at[3] + 1, PLANNED)] == [0, 0, 1, 4, 4, len(at)]
    assert up_to(statistics, units=PLANNED) == statistics


def test_a_slice_that_is_worse_rolls_back_though_the_pool_is_fine() -> None:
    found = judge(merged({"accuracy": {"all": SAME, "region=DACH": WORSE}}), SLICED)
    assert (found.decision, found.message) == (Decision.ROLL_BACK, "accuracy in region=DACH is worse than its margin of 0.05")


def test_where_cases_may_be_in_slices_a_promotion_waits_for_those_not_seen_yet() -> None:
    rare = merged({"accuracy": {"all": SAME}})
    early = looks(PLANNED)[-2]
    assert judge(up_to(rare, units=early), TERMS).decision is Decision.PROMOTE
    found = judge(up_to(rare, units=early), SLICED)
    assert (found.decision, found.message) == (Decision.PENDING, "open: accuracy")
    (stands,), (unsliced,) = (standings(rare, terms, looks=3) for terms in (SLICED, TERMS))
    assert stands.high > unsliced.high  # half of what may be spent on a rollback is the slices'
    told = judge(rare, SLICED)
    assert (told.decision, told.units) == (Decision.PROMOTE, PLANNED)


def test_nothing_yet_is_pending_and_no_metric_is_an_error() -> None:
    nothing = judge(Merged(scored=0, of=PLANNED, finished=False, looks=(), gates={}, samples=()), TERMS)
    assert (nothing.decision, nothing.units) == (Decision.PENDING, 0)
    with pytest.raises(ValueError, match="no metric"):
        judge(merged({}), replace(TERMS, margins={}))


def test_numbers_say_where_it_stands_and_agree_with_the_decision() -> None:
    statistics = merged({"accuracy": {"all": WORSE}})
    found = judge(statistics, TERMS)
    (stands,) = standings(statistics, TERMS, looks=found.looks)
    assert (stands.metric, stands.slice, stands.units) == ("accuracy", "all", found.units)
    assert stands.low < stands.estimate < stands.high < -0.05
    assert stands.roll_back >= 20
    assert stands.promote < 1
    assert (stands.towards, stands.more) == ("RollBack", 0)


def test_numbers_before_a_decision_say_how_many_more_would_decide() -> None:
    statistics = merged({"accuracy": {"all": (0, 0, 0, 0, 0, 0, 0, 0, -1000, 1000)}}, until=100)
    (stands,) = standings(statistics, TERMS, looks=len(statistics.looks))
    assert stands.low < -0.05 < stands.estimate < stands.high
    assert stands.more is not None
    assert stands.more > 0


def test_what_is_shown_is_bounded_and_holds_every_pool() -> None:
    slices: dict[str, Sequence[int]] = {f"region={number}": SAME for number in range(100)}
    statistics = merged({"accuracy": {"all": WORSE, **slices}}, until=30)
    shown = standings(statistics, SLICED, looks=len(statistics.looks))
    assert len(shown) == STANDINGS
    assert [item.slice for item in shown].count("all") == 1
    assert standings(statistics, SLICED, looks=0) == ()


def test_every_reason_that_statistics_give_is_one_that_people_can_look_up() -> None:
    told = [
        judge(merged({"accuracy": {"all": SAME}}), TERMS),
        judge(merged({"accuracy": {"all": WORSE}}), TERMS),
        judge(merged({"accuracy": {"all": SAME}}, gates={"leaks": 1}), TERMS),
        judge(merged({"accuracy": {"all": SAME}}), BOTH),
        judge(merged({"accuracy": {"all": SAME}}, until=200), BOTH),
    ]
    assert {item.reason for item in told} <= set(RunReason)


def test_a_scorer_that_said_nothing_too_often_decides_nothing() -> None:
    lost = tuple(-1000 if unit % 50 == 0 else 0 for unit in range(50))
    for pattern in (SAME, WORSE):
        said: dict[str, dict[str, tuple[int, ...]]] = {"accuracy": {"all": pattern}, "lost:accuracy": {"all": lost}}
        found = judge(merged(said), TERMS)
        assert (found.decision, found.reason) == (Decision.INCONCLUSIVE, "ScorerUnavailable")
        assert "accuracy: 2.0% of its units" in found.message
        early = judge(merged(said, until=300), TERMS)
        assert early.decision is Decision.PENDING


def test_a_scorer_that_said_nothing_now_and_then_decides_and_stands_in_nobodys_way() -> None:
    lost = tuple(-1000 if unit == 0 else 0 for unit in range(150))
    assert judge(merged({"accuracy": {"all": SAME}, "lost:accuracy": {"all": lost}}), TERMS).decision is Decision.PROMOTE
    mute: dict[str, dict[str, tuple[int, ...]]] = {"accuracy": {"all": WORSE}, "refusal": {"all": SAME}, "lost:refusal": {"all": (-1000,)}}
    assert judge(merged(mute), BOTH).decision is Decision.ROLL_BACK, "what nobody scored excuses another metric"


def test_a_decision_waits_for_the_look_at_which_little_enough_is_lost() -> None:
    always = judge(merged({"accuracy": {"all": WORSE}}), TERMS)
    first_lost = tuple(-1000 if unit == 0 else 0 for unit in range(PLANNED))
    later = judge(merged({"accuracy": {"all": WORSE}, "lost:accuracy": {"all": first_lost}}), TERMS)
    assert later.decision is Decision.ROLL_BACK
    assert later.units >= max(100, always.units)
