"""What holds for every verdict, whatever is known."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.decision.decide import decide
from sluice.decision.model import Allowance, Case, Release
from sluice.decision.people import Signoff, staffed
from tests.unit.decision import case as c


def full() -> Case:
    """Everything that lets the release serve."""
    world = c.approved_world()
    release = world.releases[c.KEY]
    assert isinstance(release, Release)
    return world.case(release)


FULL = full()
SLOW = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def part(case: Case, keep: set[int], order: int) -> Case:
    """Keep some of the facts and approvals of `case`, turned by `order`."""
    pieces = [("fact", fact) for fact in case.facts] + [("approval", approval) for approval in case.approvals]
    kept = [piece for index, piece in enumerate(pieces) if index in keep]
    turned = kept[order % (len(kept) or 1) :] + kept[: order % (len(kept) or 1)]
    return Case(
        release=case.release,
        policies=case.policies,
        facts=tuple(item for kind, item in turned if kind == "fact"),  # type: ignore[misc]
        approvals=tuple(item for kind, item in turned if kind == "approval"),  # type: ignore[misc]
    )


PIECES = len(FULL.facts) + len(FULL.approvals)


@SLOW
@given(st.sets(st.integers(0, PIECES - 1)), st.integers(0, 10))
def test_nothing_serves_unless_every_piece_is_there(keep: set[int], order: int) -> None:
    allowed = decide(part(FULL, keep, order), now=c.NOW).allows is Allowance.SERVE
    assert allowed == (len(keep) == PIECES)


@SLOW
@given(st.integers(0, PIECES))
def test_order_never_matters(order: int) -> None:
    everything = set(range(PIECES))
    assert decide(part(FULL, everything, order), now=c.NOW) == decide(FULL, now=c.NOW)


@SLOW
@given(st.sampled_from(["model", "version", "owner", "change", "artifacts", "authority", "stages", "residual_risk", "training", "rollback"]))
def test_every_identity_field_is_in_the_release_digest_and_kills_approvals(field: str) -> None:
    changed = {
        "model": "fraud",
        "version": "2.1.1",
        "owner": {"group": "other", "contact": "x"},
        "change": {"type": "Prune"},
        "artifacts": [*c.release_spec()["artifacts"], {"name": "extra", "type": "Code", "digest": "gitCommit:" + "a" * 40}],
        "authority": {"serviceAccount": "other"},
        "stages": ["production", "staging"],
        "residual_risk": {"owner": "x", "statement": "y"},
        "training": {"run": "mlflow:/runs/1"},
        "rollback": {"criteria": "worse"},
    }
    spec = type(FULL.release.spec).model_validate({**FULL.release.spec.model_dump(exclude_none=True), field: changed[field]})
    other = Release(namespace=FULL.release.namespace, name=FULL.release.name, spec=spec)
    verdict = decide(Case(release=other, policies=FULL.policies, facts=FULL.facts, approvals=FULL.approvals), now=c.NOW)
    assert other.digest != FULL.release.digest
    assert verdict.allows is Allowance.NOTHING


@given(
    st.lists(st.builds(Signoff, username=st.sampled_from("abcd"), role=st.sampled_from(["x", "y", "z"])), max_size=10),
    st.dictionaries(st.sampled_from(["x", "y", "z"]), st.integers(1, 3), min_size=1),
)
def test_nobody_sits_twice_and_more_signoffs_never_seat_fewer(signoffs: list[Signoff], counts: dict[str, int]) -> None:
    seated = staffed(signoffs, counts)
    assert sum(seated.values()) <= len({s.username for s in signoffs})
    assert all(seated[role] <= counts[role] for role in counts)
    assert sum(staffed(signoffs[:-1], counts).values()) <= sum(seated.values())
