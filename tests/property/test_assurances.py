"""Signed tickets, assessments, assurances and evaluations: less of them never allows more, and what is about something else changes nothing."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.decision.decide import decide
from sluice.decision.model import Allowance, Case, Release
from sluice.evidence.facts import Fact
from tests.unit.decision import case as c
from tests.unit.decision import test_assurances as assured
from tests.unit.decision import test_impartiality as impartial
from tests.unit.decision import test_origins as origins

SLOW = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def case_of(world: c.World) -> Case:
    release = world.releases[c.KEY]
    assert isinstance(release, Release)
    return world.case(release)


def vouched() -> Case:
    """Everything that people vouch for, twice, and each once as it must not be."""
    world = assured.world(*assured.NAMES)
    for name, changes in (("ticket", {"state": "Rejected"}), ("impact", {"outcome": "NotAcceptable"}), ("vendor", {"model": "acme-small"})):
        assured.put(world, name, named=f"{name}-no", **changes)
        assured.put(world, name, named=f"{name}-stranger", identity=c.EVALUATOR)
    return case_of(world)


def measured() -> Case:
    """An evaluation that counts, by somebody else, on the pinned cases, with the lineage of the weights; one by the trainer, and one on other cases."""
    fields = impartial.CLEAN | impartial.INDEPENDENT
    world = impartial.world(
        impartial.evaluated(), impartial.evaluated(c.TRAINER, name="own"), impartial.evaluated(test_set=impartial.OTHER_SET, name="other"),
        c.evidence("training", origins.signed("training")), fields=fields, signers=impartial.signers(),
    )  # fmt: skip
    return case_of(world)


CASES = [vouched(), measured()]
ALL = sorted({fact.bundle_digest for case in CASES for fact in (*case.facts, *case.kin.facts)})
KEPT = st.sets(st.sampled_from(ALL))


def part(case: Case, kept: set[str], *, backwards: bool = False) -> Case:
    """The case with these bundles only."""

    def some(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        chosen = tuple(fact for fact in facts if fact.bundle_digest in kept)
        return chosen[::-1] if backwards else chosen

    return replace(case, facts=some(case.facts), kin=replace(case.kin, facts=some(case.kin.facts)))


def serves(case: Case) -> bool:
    return decide(case, now=c.NOW).allows is Allowance.SERVE


def test_all_of_it_serves() -> None:
    assert [serves(case) for case in CASES] == [True, True]


@SLOW
@given(st.sampled_from(CASES), KEPT, KEPT)
def test_less_evidence_never_allows_more(case: Case, kept: set[str], taken: set[str]) -> None:
    assert serves(part(case, kept - taken)) <= serves(part(case, kept))


@SLOW
@given(st.sampled_from(CASES), KEPT, KEPT)
def test_evidence_about_other_digests_changes_nothing(case: Case, kept: set[str], foreign: set[str]) -> None:
    other = frozenset({c.digest_of("something else")})
    more = tuple(replace(fact, subjects=other, bundle_digest=c.digest_of(fact.bundle_digest)) for fact in case.facts if fact.bundle_digest in foreign)
    some = part(case, kept)
    grown = replace(some, facts=(*more, *some.facts), kin=replace(some.kin, facts=(*more, *some.kin.facts)))
    assert decide(grown, now=c.NOW) == decide(some, now=c.NOW)


@SLOW
@given(st.sampled_from(CASES), KEPT)
def test_the_order_of_evidence_never_matters(case: Case, kept: set[str]) -> None:
    assert decide(part(case, kept, backwards=True), now=c.NOW) == decide(part(case, kept), now=c.NOW)
