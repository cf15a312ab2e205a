"""What strangers put into a pull secret, a token or a reference is read, or refused in words that repeat nothing of it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.cluster.outbound import ListedRegistry, Reference
from sluice.cluster.pull_secrets import credentials_for
from sluice.cluster.registry_login import parse_docker_configuration
from sluice.cluster.resource import SECRETS
from tests.unit.api_memory import MemoryClient

HOST = "registry.example.com"
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from(["auths", HOST, "auth", "username", "password", "x"]), inner, max_size=3), max_leaves=12)  # fmt: skip


def auth(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_a_pull_secret_holds_it_is_read_or_refused(raw: bytes) -> None:
    try:
        found = parse_docker_configuration(raw)
    except ValueError:
        return
    assert all(isinstance(part, str) for account in found.values() for part in account)


@pytest.mark.parametrize("raw", [b"[" * 100_000, b'{"auths":' * 50_000, b'{"auths": {}, "auths": {}}', b" " * (2 << 20), b'{"auths": {"h": {"auth": "%%"}}}'])
def test_a_configuration_that_is_deep_large_or_ambiguous_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="no Docker configuration"):
        parse_docker_configuration(raw)


@pytest.mark.parametrize("name", [HOST, f"https://{HOST}", f"https://{HOST}/v1/", f"http://{HOST}/v2", HOST.upper()])
def test_an_account_is_found_under_each_way_to_write_its_registry(name: str) -> None:
    assert parse_docker_configuration(json.dumps({"auths": {name: {"auth": auth("robot:a:b")}}}).encode()) == {HOST: ("robot", "a:b")}
    assert parse_docker_configuration(json.dumps({"auths": {name: {"username": "u", "password": "p"}}}).encode()) == {HOST: ("u", "p")}


@given(st.text(max_size=60))
def test_whatever_is_written_as_a_reference_or_a_registry_is_read_or_refused(text: str) -> None:
    reference = Reference.parse(f"{text}@sha256:{'a' * 64}")
    assert reference is None or str(reference).startswith(f"{text.removeprefix('oci://').partition('/')[0].lower()}/")
    try:
        listed = ListedRegistry.parse(text)
    except ValueError:
        return
    assert listed.host
    assert "/" not in listed.host


@pytest.mark.parametrize(
    "change",
    [{"type": "Opaque"}, {"data": {}}, {"data": {".dockerconfigjson": "%%%"}}, {"data": {".dockerconfigjson": auth("[]")}}, {"data": None}],
)
async def test_a_secret_that_is_no_pull_secret_is_passed_over_and_the_next_one_is_asked(change: dict[str, Any]) -> None:
    client = MemoryClient()
    right = {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": auth(json.dumps({"auths": {HOST: {"auth": auth("robot:secret")}}}))}}
    client.put(SECRETS, {"metadata": {"namespace": "payments", "name": "first"}} | right | change)
    client.put(SECRETS, {"metadata": {"namespace": "payments", "name": "second"}} | right)
    client.put(SECRETS, {"metadata": {"namespace": "others", "name": "third"}} | right)
    assert await credentials_for(client, "payments", HOST, names=["missing", "first", "second"]) == ("robot", "secret")
    assert await credentials_for(client, "payments", HOST, names=["first", "third"]) is None
    assert await credentials_for(client, "payments", "other.example.com", names=["second"]) is None
