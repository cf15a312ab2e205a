"""A condition of a tier may be nonsense, costly or about fields that are not there; it decides nothing by accident and costs little."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from sluice.decision.expressions import Expression, ExpressionMalformedError
from sluice.decision.world import World
from tests.unit.decision.case import KEY, NOW, approved_world, item, policy_spec, release_spec

HUNDRED = f"[{','.join(map(str, range(100)))}]"


def compared_lists(*, around: int, length: int) -> str:
    """A condition that makes lists of lists, each `length` times the one before, and compares the last with itself."""
    names = [f"v{level}" for level in range(around + 1)]
    opened = "".join(f".exists({inner}, [[{','.join([inner] * length)}]]" for _, inner in pairwise(names))
    return f"[[{','.join(['1'] * length)}]]{opened}.exists(z, z == z){')' * around}"


def world_with(when: str) -> World:
    """The approved world, with `when` for the condition of the high tier, whose releases need one approval more."""
    world = approved_world()
    spec = policy_spec()
    spec["tiers"][0]["when"] = when
    spec["requirements"].append({"name": "more", "type": "Approval", "counts": {"owner": 2}, "tiers": ["high"]})
    world.put("ReleasePolicy", item("ReleasePolicy", "customer-facing", spec, namespace=""))
    return world


def compiled(when: str) -> Expression:
    return Expression.compile(when, field="spec.tiers[high].when")


@pytest.mark.parametrize(
    "when",
    [
        "'CustomerRecords' in release.authority.dataClasses",
        "release.authority.tools.all(t, t.effect == 'Read' || t.name.startsWith('crm.'))",
        "has(release.change.ticket)",
        "size(release.authority.tools) > 3",
        "release.owner.group.matches('^payments-')",
    ],
)
def test_conditions_that_people_write_compile(when: str) -> None:
    compiled(when)


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("release.", "Syntax error"),
        ("relase.model == 'churn'", "undeclared reference to 'relase"),
        ("release.modell == 'churn'", "undefined field 'modell'"),
        ("release.authority.tools.exists(t, t.efect == 'Write')", "undefined field 'efect'"),
        ("has(release.change.tickt)", "undefined field 'tickt'"),
        ("release.model < 3", "no matching overload for '_<_'"),
        ("'ToolAdded' in release", "no matching overload for '@in'"),
        ("release.model", "STRING, not bool"),
        ("'high'", "STRING, not bool"),
        ("(" * 200 + "true" + ")" * 200, "recursion limit"),
        ("release.authority.tools.map(t, t.name + t.name) == []", r"undeclared reference to '_\+_'.*: there is no \+, map or filter here"),
        ("['aaaaaaaaaa']" + ".map(a, a+a+a+a+a+a+a+a+a+a)" * 7 + " == []", "undeclared reference to '_\\+_'"),
        (compared_lists(around=8, length=6), "9 comprehensions"),
        ("release.authority.tools.exists (t, true)" + " || release . authority . tools . exists\n(t, true)" * 3, "4 comprehensions"),
    ],
)
def test_a_condition_that_is_none_or_could_cost_too_much_is_refused_with_its_place(when: str, says: str) -> None:
    with pytest.raises(ExpressionMalformedError, match=says) as refused:
        compiled(when)
    assert str(refused.value).startswith("spec.tiers[high].when")


@pytest.mark.parametrize("length", [6, 40, 100])
def test_the_most_costly_condition_that_compiles_takes_less_than_a_second(length: int) -> None:
    condition = compiled(compared_lists(around=2, length=length))
    start = time.process_time()
    condition.holds({"release": {}})
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "when",
    [
        "release.training.run == 'x'",
        "dyn(release.model)",
        "dyn(release.model) < 3",
        "baseline.model == 'churn'",
        f"{HUNDRED}.all(a, {HUNDRED}.all(b, {HUNDRED}.all(c, c >= 0)))",
    ],
    ids=["not there", "no bool", "no such comparison", "no baseline", "too many iterations"],
)
def test_a_condition_that_cannot_be_evaluated_asks_for_what_every_tier_asks(when: str) -> None:
    world = world_with(when)
    verdict = world.verdict(KEY, now=NOW)
    assert verdict is not None
    assert "more" in {result.requirement for result in verdict.results}
    assert verdict.tier is None


def test_a_false_condition_leaves_out_what_its_tier_asks() -> None:
    verdict = world_with("false").verdict(KEY, now=NOW)
    assert verdict is not None
    assert "more" not in {result.requirement for result in verdict.results}
    assert verdict.tier == "standard"


def test_what_stands_behind_a_nul_is_not_hidden_from_a_condition() -> None:
    world = world_with("release.owner.contact.contains('secret')")
    spec = release_spec()
    spec["owner"]["contact"] = "harmless\0secret"
    world.put("ModelRelease", item("ModelRelease", KEY.name, spec))
    verdict = world.verdict(KEY, now=NOW)
    assert verdict is not None
    assert "more" in {result.requirement for result in verdict.results}
