"""In a scratch namespace a Pod starts for a drill if and only if everybody who has a say has said so."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from sluice.decision.gate import Action, Namespace, decide_drill_pod
from sluice.decision.scratch import ScratchProblem, find_scratch
from sluice.decision.world import World
from tests.unit.decision import case as c
from tests.unit.decision.test_drills import drill_of, drilled_world, pod

world = cache(drilled_world)
NAMES = st.sampled_from([c.NAMESPACE, "payments-drills", "risk"])
MOSTLY = st.sampled_from([True, True, True, False])


@st.composite
def namespaces(draw: st.DrawFn, name: str) -> Namespace:
    labels = {
        "sluice.dev/govern": draw(st.sampled_from(["true", "true", "false"])),
        "sluice.dev/stage": draw(st.sampled_from(["production", "production", "x"])),
    }
    scratch_for = draw(st.sampled_from([c.NAMESPACE, c.NAMESPACE, "risk", "payments-drills", None]))
    return Namespace(name=name, labels=labels | ({"sluice.dev/scratch-for": scratch_for} if scratch_for else {}))


def fits(namespace: Namespace) -> bool:
    return (namespace.labels["sluice.dev/govern"], namespace.labels["sluice.dev/stage"]) == ("true", "production")


@given(st.data())
def test_a_pod_of_a_drill_starts_exactly_where_drill_pod_and_namespace_agree(data: st.DataObject) -> None:
    at, home = data.draw(NAMES.flatmap(namespaces)), data.draw(namespaces(c.NAMESPACE))
    if at.name == home.name:
        at = home
    drill = replace(drill_of(world()), scratch_namespace=data.draw(st.sampled_from(["", "payments-drills", "payments-drills", "risk"])))
    claims = data.draw(st.sampled_from([c.NAMESPACE, c.NAMESPACE, "risk", None]))
    view = replace(pod("release", c.NAME, drill=drill.name if data.draw(MOSTLY) else "another"), drill_namespace=claims)
    subject = world().subject(c.NAMESPACE, c.NAME, now=c.NOW)
    allowed = decide_drill_pod(view, at, subject, drill, home=home).action is Action.ALLOW
    # In words of its own: the drill is done here, and the Pod is of it. Where that is not its home, the Pod and the namespace both say whose it is; where it
    # is, they do not both say that it is another's: even a namespace that has releases of its own can be scratch for another.
    here = at.name == (drill.scratch_namespace or c.NAMESPACE)
    said = claims if claims == at.labels.get("sluice.dev/scratch-for") else None
    agreed = said in {None, at.name} if at.name == c.NAMESPACE else said == c.NAMESPACE
    assert allowed == (here and agreed and view.drill == drill.name and fits(at) and fits(home))


@given(st.lists(NAMES, unique=True).flatmap(lambda names: st.tuples(*(namespaces(name) for name in names))))
def test_a_scratch_namespace_is_found_exactly_when_one_is_prepared(known: tuple[Namespace, ...]) -> None:
    releases = [world().releases[key] for key in (c.KEY, c.BASELINE_KEY)]
    found = find_scratch(c.NAMESPACE, known, releases)  # type: ignore[arg-type]
    prepared = sorted(item.name for item in known if item.name != c.NAMESPACE and item.labels.get("sluice.dev/scratch-for") == c.NAMESPACE and fits(item))
    assert (None if isinstance(found, ScratchProblem) else found.name) == (prepared[0] if prepared else None)
    assert not isinstance(found, ScratchProblem) or found.message


def test_the_world_of_these_tests_lets_a_drill_be_done() -> None:
    assert isinstance(world(), World)
    labels = {"sluice.dev/govern": "true", "sluice.dev/stage": "production", "sluice.dev/scratch-for": c.NAMESPACE}
    at, home = Namespace(name="payments-drills", labels=labels), Namespace(name=c.NAMESPACE, labels=labels)
    view = replace(pod("release", c.NAME), drill_namespace=c.NAMESPACE)
    drill = replace(drill_of(world()), scratch_namespace=at.name)
    assert decide_drill_pod(view, at, world().subject(c.NAMESPACE, c.NAME, now=c.NOW), drill, home=home).action is Action.ALLOW
