"""The controller's key is made once, kept, published beside those before it, and told to nobody."""

from __future__ import annotations

import base64
import logging
from contextlib import suppress

import pytest

from sluice.cluster.resource import CONFIG_MAPS, SECRETS
from sluice.controller.signing_key import ControllerKey, KeyUnusableError
from tests.unit.api_memory import MemoryClient, Object
from tests.unit.rollout.canary_bench import Killed

NS = "sluice-system"
SECRET, PUBLISHED = (resource.path(NS, "sluice-controller-key") for resource in (SECRETS, CONFIG_MAPS))


class Memory(MemoryClient):
    """Replaces objects, too."""

    async def replace(self, path: str, obj: Object) -> Object:
        self.writes.append(("replace", path))
        self.objects[path] = obj
        return obj


async def test_the_first_one_makes_it_and_all_others_find_it() -> None:
    client = Memory()
    first, second = ControllerKey(), ControllerKey()
    await first.load(client, NS)
    writes = len(client.writes)
    anchors = await second.load(client, NS)
    assert second.signing == first.signing
    assert len(client.writes) == writes
    assert [key.fingerprint for key in anchors.named_keys.values()] == [first.signing.fingerprint]


async def test_a_process_that_is_killed_after_making_it_leaves_one_key() -> None:
    client = Memory()

    def die() -> None:
        raise Killed

    for _ in range(3):
        client.after_write = die
        with suppress(Killed):
            await ControllerKey().load(client, NS)
    client.after_write = lambda: None
    kept = client.objects[SECRET]["data"]
    await ControllerKey().load(client, NS)
    assert client.objects[SECRET]["data"] == kept


async def test_after_a_rotation_what_the_old_key_signed_is_still_believed() -> None:
    client = Memory()
    old, new = ControllerKey(), ControllerKey()
    await old.load(client, NS)
    del client.objects[SECRET]
    anchors = await new.load(client, NS)
    assert new.signing != old.signing
    assert {key.fingerprint for key in anchors.named_keys.values()} == {old.signing.fingerprint, new.signing.fingerprint}


@pytest.mark.parametrize("data", [{}, {"key.pem": ""}, {"key.pem": "!"}, {"key.pem": base64.b64encode(b"hello").decode()}])
async def test_a_secret_that_holds_no_key_is_not_overwritten(data: Object) -> None:
    client = Memory()
    client.put(SECRETS, {"metadata": {"namespace": NS, "name": "sluice-controller-key"}, "data": data})
    with pytest.raises(KeyUnusableError, match="restore it, or delete the Secret"):
        await ControllerKey().load(client, NS)
    assert client.writes == []


async def test_the_key_is_in_no_log_and_in_no_public_place(caplog: pytest.LogCaptureFixture) -> None:
    client = Memory()
    with caplog.at_level(logging.DEBUG):
        await ControllerKey().load(client, NS)
    secret = base64.b64decode(client.objects[SECRET]["data"]["key.pem"]).decode().splitlines()[1]
    assert secret not in caplog.text
    assert secret not in str(client.objects[PUBLISHED])
    assert "sha256:" in caplog.text


def test_nothing_is_signed_before_it_is_loaded() -> None:
    with pytest.raises(RuntimeError):
        _ = ControllerKey().signing
