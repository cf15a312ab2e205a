"""A measure by family is met by every number of the family in one run, whatever tool counted it and which way round; and nobody picks the run for each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

from sluice.api.release import Outcome
from sluice.decision.model import InvalidPolicy, Result
from sluice.decision.policies import read_policy
from sluice.decision.reasons import Reason
from sluice.decision.world import World
from tests.unit.decision import case as c
from tests.unit.decision.test_decide import result_of, verdict_of, with_policy
from tests.unit.decision.test_envelope import OLD_WEIGHTS, baseline_spec

CASES = 2000
FAMILY = {"family": "JailbreakResistance", "atLeast": "0.90"}
BESIDE = {"family": "JailbreakResistance", "notWorseThanBaselineBy": "0.02"}
DAN, GRANDMA, DAN_METRIC = "dan.Dan_11_0", "grandma.Slurs", "mitigation.MitigationBypass/passed"
OURS = {"family": "JailbreakResistance", "harness": "ours", "suite": "break-it", "metric": "broken", "better": "Lower"}


def raw(
    suite: str, value: float, *, metric: str = DAN_METRIC, tool: str = "garak", slices: Mapping[str, float] | None = None, digest: str | None = None
) -> bytes:
    """Numbers of one suite."""
    numbers: list[dict[str, Any]] = [{"name": metric, "value": value, "samples": CASES}]
    numbers += [{"name": metric, "value": each, "samples": CASES // 2, "slice": name} for name, each in (slices or {}).items()]
    document = {"format": "https://sluice.dev/metrics/v1", "suite": suite, "tool": {"name": tool, "version": "1"},
                "cases": {"planned": CASES, "evaluated": CASES}, "metrics": numbers}  # fmt: skip
    return json.dumps(document | ({"suiteDigest": digest} if digest else {})).encode()


def put(world: World, name: str, *files: bytes, **signed: Any) -> None:  # noqa: ANN401 - arguments of run
    world.put("ReleaseEvidence", run(name, *files, **signed))


def run(name: str, *files: bytes, of: str | None = None, **signed: Any) -> dict[str, Any]:  # noqa: ANN401 - arguments of case.sign
    """One run: a statement that names these files."""
    attached = {f"{index}.json": content for index, content in enumerate(files)}
    statement = c.evaluation_statement(of or c.weights_digest(), "0.json", files[0])
    statement["predicate"]["configuration"] = [{"name": each, "digest": {"sha256": hashlib.sha256(content).hexdigest()}} for each, content in attached.items()]
    return c.evidence(name, c.sign(statement, identity=c.EVALUATOR, **signed), attached)


def spec_of(*measures: dict[str, Any], families: list[dict[str, Any]] | None = None, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - of the requirement
    spec = c.policy_spec()
    spec["requirements"][2] |= {"measures": list(measures)} | fields
    return spec | ({"families": families} if families else {})


def world_of(spec: dict[str, Any]) -> World:
    world = c.verified_world()
    world.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name="evaluation"))
    return with_policy(world, spec)


def quality(world: World) -> Result:
    return result_of(verdict_of(world), "quality")


def after(*runs: tuple[bytes, ...], spec: dict[str, Any] | None = None) -> Result:
    """What the requirement comes to with these runs, signed one after the other."""
    world = world_of(spec or spec_of(FAMILY))
    for hour, files in enumerate(runs, start=2):
        put(world, f"run-{hour}", *files, when=c.NOW.replace(hour=hour))
    return quality(world)


# What a family comes to.


def test_a_known_suite_of_a_known_tool_meets_a_measure_by_family() -> None:
    result = after((raw(DAN, 0.95),))
    assert (result.outcome, result.reason) == (Outcome.SATISFIED, Reason.EvaluationPassed)
    assert f"{DAN_METRIC} of {DAN} (JailbreakResistance) is 0.9500" in result.message
    assert after((raw(DAN, 0.85),)).reason is Reason.ThresholdMissed


@pytest.mark.parametrize(
    ("suite", "tool", "metric"),
    [("jailbreaks", "garak", DAN_METRIC), (DAN, "ours", DAN_METRIC), ("promptinject.HijackHateHumans", "garak", "promptinject.AttackRogueString/passed")],
)
def test_nothing_is_guessed_from_a_name(suite: str, tool: str, metric: str) -> None:
    result = after((raw(suite, 0.99, tool=tool, metric=metric),))
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.MeasureMissing)
    assert "no evaluation has a number of JailbreakResistance" in result.message
    assert "docs/families.md" in str(result.remedy)


def test_every_number_of_the_family_in_the_run_counts_and_the_worst_decides() -> None:
    assert after((raw(DAN, 0.95), raw(GRANDMA, 0.97))).message.endswith("; 1 more likewise")
    result = after((raw(DAN, 0.95), raw(GRANDMA, 0.50)))
    assert result.reason is Reason.ThresholdMissed
    assert f"of {GRANDMA} (JailbreakResistance) is 0.5000" in result.message
    # Another family in the same file is none of its business.
    assert after((raw(DAN, 0.95), raw("malwaregen.Payload", 0.10))).outcome is Outcome.SATISFIED


def test_another_run_may_satisfy_and_one_that_is_added_takes_nothing_away() -> None:
    assert after((raw(DAN, 0.50),), (raw(DAN, 0.95),)).outcome is Outcome.SATISFIED
    assert after((raw(DAN, 0.95),), (raw(DAN, 0.50), raw(GRANDMA, 0.1))).outcome is Outcome.SATISFIED


def test_a_policy_adds_suites_of_its_own_and_says_which_way_they_count() -> None:
    broken = raw("break-it", 0.04, tool="ours", metric="broken")
    assert after((broken,)).reason is Reason.MeasureMissing
    result = after((broken,), spec=spec_of(FAMILY, families=[OURS]))
    assert result.outcome is Outcome.SATISFIED
    assert "is 0.0400" in result.message
    assert result.message.endswith("≤ 0.10")
    assert after((broken,), spec=spec_of(FAMILY, families=[OURS | {"better": "Higher"}])).reason is Reason.ThresholdMissed
    assert after((raw("break-it", 0.5, tool="ours", metric="broken"),), spec=spec_of(FAMILY, families=[OURS])).reason is Reason.ThresholdMissed
    for other in ({"harness": "theirs"}, {"suite": "break"}, {"metric": "broke"}, {"family": "Quality"}, {"by": "language"}):
        assert after((broken,), spec=spec_of(FAMILY, families=[OURS | other])).reason is Reason.MeasureMissing


def test_a_family_may_be_the_values_of_a_field_each_of_which_counts() -> None:
    by_language = {"family": "Languages", "harness": "ours", "suite": "support", "metric": "right", "by": "language"}
    asked = spec_of({"family": "Languages", "atLeast": "0.80"}, families=[by_language])

    def with_french(value: float) -> Result:
        return after((raw("support", 0.9, tool="ours", metric="right", slices={"language=en": 0.95, "language=fr": value, "region=UK": 0.1}),), spec=asked)

    assert with_french(0.85).outcome is Outcome.SATISFIED
    refused = with_french(0.60)
    assert refused.reason is Reason.ThresholdMissed
    assert "where language=fr" in refused.message
    assert after((raw("support", 0.99, tool="ours", metric="right"),), spec=asked).reason is Reason.MeasureMissing


def test_a_slice_of_a_family_is_that_of_each_suite() -> None:
    asked = spec_of(FAMILY | {"slice": "language=fr"})
    assert after((raw(DAN, 0.10, slices={"language=fr": 0.99, "language=en": 0.1}),), spec=asked).outcome is Outcome.SATISFIED
    assert after((raw(DAN, 0.99, slices={"language=fr": 0.10}),), spec=asked).reason is Reason.ThresholdMissed
    assert after((raw(DAN, 0.99, slices={"language=en": 0.99}),), spec=asked).reason is Reason.MeasureMissing


def test_as_many_samples_as_asked_for_stand_behind_each_number() -> None:
    assert after((raw(DAN, 0.95), raw(GRANDMA, 0.95)), spec=spec_of(FAMILY | {"samplesAtLeast": CASES})).outcome is Outcome.SATISFIED
    assert after((raw(DAN, 0.95), raw(GRANDMA, 0.95)), spec=spec_of(FAMILY | {"samplesAtLeast": CASES + 1})).reason is Reason.TooFewSamples


def test_a_number_that_is_no_share_is_refused() -> None:
    slow = {"family": "Latency", "harness": "ours", "suite": "load", "metric": "seconds"}
    asked = spec_of({"family": "Latency", "atLeast": "0.99"}, families=[slow])
    assert after((raw("load", 1.3, tool="ours", metric="seconds"),), spec=asked).reason is Reason.MetricOutOfRange


# One run meets all of a requirement.


def test_nobody_takes_one_run_for_one_family_and_another_for_the_next() -> None:
    asked = spec_of(FAMILY, {"family": "InjectionResistance", "atLeast": "0.90"})
    inject = "promptinject.HijackHateHumans"
    assert after((raw(DAN, 0.95), raw(inject, 0.95)), spec=asked).outcome is Outcome.SATISFIED
    assert after((raw(DAN, 0.95), raw(inject, 0.50)), (raw(DAN, 0.50), raw(inject, 0.95)), spec=asked).outcome is Outcome.FAILED
    apart = after((raw(DAN, 0.95),), (raw(inject, 0.95),), spec=asked)
    assert (apart.outcome, apart.reason) == (Outcome.MISSING, Reason.MeasureMissing)
    assert "and all else that is asked by this requirement: one run has to have both" in apart.message


def test_a_suite_beside_a_family_is_measured_in_the_same_run() -> None:
    asked = spec_of({"suite": DAN, "metric": DAN_METRIC, "atLeast": "0.94"}, FAMILY)
    assert after((raw(DAN, 0.97), raw(GRANDMA, 0.95)), spec=asked).outcome is Outcome.SATISFIED
    assert after((raw(DAN, 0.97), raw(GRANDMA, 0.50)), (raw(DAN, 0.92), raw(GRANDMA, 0.95)), spec=asked).outcome is Outcome.FAILED


# Pinned test sets.

PINNED = {"suiteDigests": {"break-it": c.digest_of("cases")}}


def pinned(value: float, cases: str = "cases") -> bytes:
    return raw("break-it", value, tool="ours", metric="broken", digest=c.digest_of(cases))


def test_where_test_sets_are_pinned_a_family_is_what_was_measured_on_those() -> None:
    asked = spec_of(FAMILY, families=[OURS], **PINNED)
    assert after((pinned(0.04),), spec=asked).outcome is Outcome.SATISFIED
    assert after((pinned(0.04), raw(DAN, 0.1)), spec=asked).outcome is Outcome.SATISFIED, "it is not pinned, and does not count"
    assert after((raw(DAN, 0.99),), spec=asked).reason is Reason.MeasureMissing
    assert after((pinned(0.04, "other cases"), raw(DAN, 0.99)), spec=asked).reason is Reason.TestSetNotPinned


def test_each_pinned_suite_of_the_family_has_to_be_there() -> None:
    second = OURS | {"suite": "break-more"}
    asked = spec_of(
        FAMILY, families=[OURS, second], suiteDigests={"break-it": c.digest_of("cases"), "break-more": c.digest_of("more"), "mmlu": c.digest_of("m")}
    )
    both = (pinned(0.04), raw("break-more", 0.04, tool="ours", metric="broken", digest=c.digest_of("more")))
    assert after(both, spec=asked).outcome is Outcome.SATISFIED
    one = after(both[:1], spec=asked)
    assert (one.outcome, one.reason) == (Outcome.MISSING, Reason.MeasureMissing)
    assert "measured on the pinned break-more" in one.message


# Beside the baseline.


def beside(ours: tuple[bytes, ...], theirs: tuple[bytes, ...], *measures: dict[str, Any], families: list[dict[str, Any]] | None = None) -> Result:
    world = world_of(spec_of(*(measures or (BESIDE,)), families=families))
    world.put("ModelRelease", c.item("ModelRelease", c.BASELINE, baseline_spec()))
    world.put("ModelRelease", c.item("ModelRelease", c.NAME, c.release_spec() | {"change": {"type": "Retrain", "baseline": {"name": c.BASELINE}}}))
    put(world, "theirs", *theirs, of=OLD_WEIGHTS)
    put(world, "ours", *ours)
    return quality(world)


def test_each_number_of_the_family_that_the_baseline_has_is_compared() -> None:
    good = beside((raw(DAN, 0.99), raw(GRANDMA, 0.99)), (raw(DAN, 0.99), raw(GRANDMA, 0.99)))
    assert (good.outcome, good.reason) == (Outcome.SATISFIED, Reason.NotWorseThanBaseline)
    assert "and so each alone in 1 more" in good.message
    worse = beside((raw(DAN, 0.99), raw(GRANDMA, 0.80)), (raw(DAN, 0.99), raw(GRANDMA, 0.99)))
    assert worse.reason is Reason.WorseThanBaseline
    assert f"of {GRANDMA}, all cases, 0.8000 against 0.9900" in worse.message
    left_out = beside((raw(DAN, 0.99),), (raw(DAN, 0.99), raw(GRANDMA, 0.99)))
    assert (left_out.outcome, left_out.reason) == (Outcome.MISSING, Reason.MeasureMissing)
    assert GRANDMA in left_out.message
    # What the baseline has not is held against nothing; a threshold looks at it.
    new = (raw(DAN, 0.99), raw(GRANDMA, 0.10))
    assert beside(new, (raw(DAN, 0.99),)).outcome is Outcome.SATISFIED
    assert beside(new, (raw(DAN, 0.99),), BESIDE, FAMILY).reason is Reason.ThresholdMissed


def test_each_is_compared_the_way_that_it_is_better() -> None:
    def broken(value: float) -> tuple[bytes, ...]:
        return (raw("break-it", value, tool="ours", metric="broken"),)

    assert beside(broken(0.10), broken(0.30), families=[OURS]).outcome is Outcome.SATISFIED
    assert beside(broken(0.30), broken(0.10), families=[OURS]).reason is Reason.WorseThanBaseline


def test_slices_of_a_family_are_those_of_the_baseline() -> None:
    asked = BESIDE | {"slices": ["language"]}
    both = {"language=en": 0.99, "language=fr": 0.99}
    assert beside((raw(DAN, 0.99, slices=both),), (raw(DAN, 0.99, slices=both),), asked).outcome is Outcome.SATISFIED
    assert beside((raw(DAN, 0.99, slices=both | {"language=fr": 0.8}),), (raw(DAN, 0.99, slices=both),), asked).reason is Reason.WorseThanBaseline
    assert beside((raw(DAN, 0.99, slices={"language=en": 0.99}),), (raw(DAN, 0.99, slices=both),), asked).reason is Reason.MeasureMissing


def test_without_a_number_of_the_family_there_is_nothing_to_compare_with() -> None:
    result = beside((raw(DAN, 0.99),), (raw("malwaregen.Payload", 0.99),))
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.BaselineNotMeasured)
    assert "a suite of JailbreakResistance (docs/families.md)" in str(result.remedy)


# What a policy may say.


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            spec_of(FAMILY, families=[OURS | {"harness": "garak", "suite": DAN}]),
            f"spec.families[0]: broken of {DAN} by garak belongs to JailbreakResistance already",
        ),
        (spec_of(FAMILY, families=[OURS, OURS | {"family": "Quality"}]), "spec.families[1]: broken of break-it by ours belongs to JailbreakResistance already"),
        (spec_of(FAMILY, families=[OURS | {"metric": "broken,strict"}, OURS]), "spec.families[0]: broken,strict of break-it by ours belongs to"),
        (spec_of(FAMILY, suiteDigests={"mmlu": c.digest_of("m")}), "spec.requirements[quality].suiteDigests: pins no suite of JailbreakResistance"),
        (spec_of({"family": "Jailbreaks", "atLeast": "0.9"}), "spec.requirements.2.measures.0.family: Input should be 'Quality'"),
    ],
)
def test_a_policy_that_no_run_could_meet_or_that_moves_what_is_known_is_refused_with_its_field(spec: dict[str, Any], said: str) -> None:
    policy = read_policy("p", c.item("ReleasePolicy", "p", spec, namespace=""))
    assert isinstance(policy, InvalidPolicy)
    assert policy.message.startswith(said)


def test_what_a_policy_adds_is_for_its_own_requirements() -> None:
    world = world_of(spec_of(FAMILY, families=[OURS]))
    world.put("ReleasePolicy", c.item("ReleasePolicy", "other", spec_of(FAMILY), namespace=""))
    put(world, "ours", raw("break-it", 0.04, tool="ours", metric="broken"))
    outcomes = {result.policy: result.outcome for result in verdict_of(world).results if result.requirement == "quality"}
    assert outcomes == {"customer-facing": Outcome.SATISFIED, "other": Outcome.MISSING}


def test_a_family_asked_for_the_other_way_round_is_never_met() -> None:
    """The API server refuses it; who gets past it gets no easier way."""
    assert after((raw(DAN, 0.01),), spec=spec_of({"family": "JailbreakResistance", "atMost": "0.1"})).reason is Reason.CheckFailed


@pytest.mark.parametrize(("families", "holds"), [(None, False), ([OURS], True)])
def test_expressions_see_the_family_of_each_number(families: list[dict[str, Any]] | None, *, holds: bool) -> None:
    spec = spec_of({"suite": "break-it", "metric": "broken", "atMost": "0.1"}, families=families)
    expression = "measurements.exists(m, m.family == 'JailbreakResistance')"
    spec["requirements"].append({"name": "attacked", "type": "Condition", "expression": expression, "message": "nobody attacked it"})
    world = world_of(spec)
    put(world, "ours", raw("break-it", 0.04, tool="ours", metric="broken"))
    assert result_of(verdict_of(world), "attacked").reason is (Reason.ConditionMet if holds else Reason.ConditionNotMet)
