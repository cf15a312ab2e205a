"""Whatever is sent, the answer is well-formed, and nothing unentitled gets in ungated."""

import json
from functools import cache
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sluice.decision.gate import Action
from sluice.decision.world import World
from sluice.webhook.admission import Path, review
from sluice.webhook.sight import Sight
from tests.unit.decision.case import NOW, approved_world, verified_world
from tests.unit.webhook.reviews import FOREIGN_IMAGES, MODEL_IMAGE, READINESS, SCHEDULING, SERVER_IMAGE, ask, body, deployment, patched, pod

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
RESOURCES = ["v1/pods", "v1/pods/ephemeralcontainers", "apps/v1/deployments", "batch/v1/cronjobs", "v1/secrets"]
verified, approved = cache(verified_world), cache(approved_world)


def paths_of(value: object, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [prefix, *(path for key, item in inner for path in paths_of(item, (*prefix, key)))]


@st.composite
def damaged_reviews(draw: st.DrawFn) -> bytes:
    """A valid review in which one place holds something else."""
    obj = draw(st.sampled_from([pod(), pod(gated=False), pod(release=None), deployment()]))
    document = json.loads(body(obj, about=draw(st.sampled_from(RESOURCES)), old=draw(st.sampled_from([None, pod(), {}]))))
    path = draw(st.sampled_from([path for path in paths_of(document) if path]))
    place = document
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = draw(JSON)
    return json.dumps(document).encode()


def check_form(path: Path, sent: bytes, world: World) -> None:
    reply = review(path, sent, Sight(world=world, now=NOW))
    document = json.loads(reply.body)
    response = document["response"]
    assert (document["apiVersion"], document["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    assert isinstance(response["uid"], str)
    assert response["allowed"] is (reply.action in {Action.ALLOW, Action.HOLD})
    assert ("status" in response) is (reply.action is Action.DENY)
    assert all(len(line.encode()) <= 256 and line.isprintable() for line in response.get("warnings", []))


@given(st.sampled_from(list(Path)), st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()) | damaged_reviews())
def test_whatever_is_sent_the_answer_is_well_formed(path: Path, sent: bytes) -> None:
    check_form(path, sent, approved())
    check_form(path, sent, World())


IMAGES = st.sampled_from([SERVER_IMAGE, MODEL_IMAGE, *FOREIGN_IMAGES])
CONTAINERS = st.lists(st.builds(lambda image: {"name": "c", "image": image}, IMAGES), max_size=2)
PODS = st.builds(
    lambda release, first, containers, inits, ephemeral, volumes, gates, readiness, account: pod(
        release=release, gated=False, containers=[{"name": "server", "image": first}, *containers], initContainers=inits, ephemeralContainers=ephemeral,
        volumes=[{"name": "v", "image": {"reference": volume}} for volume in volumes], schedulingGates=gates, readinessGates=readiness,
        serviceAccountName=account,
    ),
    st.sampled_from([None, "churn-2-1-0", "churn-3", ""]), IMAGES, CONTAINERS, CONTAINERS, CONTAINERS, st.lists(IMAGES, max_size=2),
    st.lists(st.sampled_from([SCHEDULING, {"name": "example.com/x"}]), max_size=3), st.lists(st.just(READINESS), max_size=2),
    st.sampled_from(["churn", "default", None]),
)  # fmt: skip


def gated(obj: dict[str, Any]) -> bool:
    return SCHEDULING in (obj["spec"].get("schedulingGates") or [])


@given(PODS)
def test_no_pod_that_carries_the_model_starts_before_the_approval(obj: dict[str, Any]) -> None:
    final = patched(obj, ask(Path.MUTATE, verified(), body(obj)))
    carries = any(MODEL_IMAGE in json.dumps(final["spec"][field]) for field in ("containers", "initContainers", "ephemeralContainers", "volumes"))
    named = obj["metadata"]["labels"].get("sluice.dev/release") is not None
    if (carries or named) and ask(Path.VALIDATE, verified(), body(final))["allowed"]:
        assert gated(final)


@given(PODS)
def test_with_the_approval_only_pods_of_the_release_lose_the_gate(obj: dict[str, Any]) -> None:
    final = patched(obj, ask(Path.MUTATE, approved(), body(obj)))
    if obj["metadata"]["labels"].get("sluice.dev/release") is not None and ask(Path.VALIDATE, approved(), body(final))["allowed"] and not gated(final):
        images = [container["image"] for field in ("containers", "initContainers", "ephemeralContainers") for container in final["spec"][field]]
        images += [volume["image"]["reference"] for volume in final["spec"]["volumes"]]
        assert set(images) <= {SERVER_IMAGE, MODEL_IMAGE}
        assert final["spec"]["serviceAccountName"] == "churn"


@given(PODS, st.booleans())
def test_the_answer_after_the_patch_is_the_answer_before_it(obj: dict[str, Any], approval: bool) -> None:
    world = approved() if approval else verified()
    final = patched(obj, ask(Path.MUTATE, world, body(obj)))
    assert patched(final, ask(Path.MUTATE, world, body(final))) == final
