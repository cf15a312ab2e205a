"""Paths and addresses: no name that somebody chose leads anywhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.api import kinds
from sluice.cluster import resource
from sluice.cluster.resource import DEPLOYMENTS, NAMESPACES, PODS, POLICIES, RELEASES, Resource
from sluice.decision.records import Key

CONSTANTS = [value for value in vars(resource).values() if isinstance(value, Resource)]


def test_our_kinds_are_served_where_the_generated_definitions_say() -> None:
    declared = {(kind.name, kind.plural, kind.namespaced) for kind in vars(kinds).values() if isinstance(kind, kinds.Kind)}
    ours = {(known.kind, known.plural, known.namespaced) for known in CONSTANTS if known.group == "sluice.dev"}
    assert ours == declared
    assert len(ours) == 10


def test_paths_are_those_of_kubernetes() -> None:
    assert PODS.path() == "/api/v1/pods"
    assert PODS.path("a", "b", "ephemeralcontainers") == "/api/v1/namespaces/a/pods/b/ephemeralcontainers"
    assert DEPLOYMENTS.path("a") == "/apis/apps/v1/namespaces/a/deployments"
    assert RELEASES.path("a", "b", "status") == "/apis/sluice.dev/v1alpha1/namespaces/a/modelreleases/b/status"
    assert POLICIES.path(name="b") == "/apis/sluice.dev/v1alpha1/releasepolicies/b"


@pytest.mark.parametrize("wrong", [("a", None, "status"), (None, "b", None), ("", "b", None)])
def test_a_path_without_a_part_that_it_needs_is_refused(wrong: tuple[str | None, str | None, str | None]) -> None:
    with pytest.raises(ValueError, match=r"need|cannot be part"):
        PODS.path(*wrong)


def test_a_cluster_scoped_kind_has_no_namespace() -> None:
    with pytest.raises(ValueError, match="cluster-scoped"):
        NAMESPACES.path("a", "b")


@given(st.text(max_size=300))
def test_no_name_adds_or_removes_a_part_of_the_path(name: str) -> None:
    try:
        path = PODS.path("a", name)
    except ValueError:
        return
    assert path.split("/") == ["", "api", "v1", "namespaces", "a", "pods", name]
    assert not set(name) & set("?#%/\\ \n")
    assert name not in {".", ".."}


@pytest.mark.parametrize(
    "obj",
    [None, [], {}, {"metadata": None}, {"metadata": {}}, {"metadata": {"name": "", "namespace": "a"}}, {"metadata": {"name": 3, "namespace": "a"}},
     {"metadata": {"name": "b"}}, {"metadata": {"name": "b", "namespace": None}}],
)  # fmt: skip
def test_an_object_without_name_or_namespace_has_no_key(obj: object) -> None:
    assert PODS.key_of(obj) is None


def test_keys_are_printed_as_kubectl_prints_them() -> None:
    assert str(PODS.key_of({"metadata": {"name": "b", "namespace": "a"}})) == "a/b"
    assert str(POLICIES.key_of({"metadata": {"name": "b"}})) == "b"
    assert POLICIES.key_of({"metadata": {"name": "b", "namespace": "a"}}) is None
    assert Key("", "b") != Key("b", "")
