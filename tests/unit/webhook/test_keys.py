"""The webhook believes the keys that are in the folder now, and none that were."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sluice.api.release import Phase
from sluice.provenance.signing import SigningKey
from sluice.webhook.keys import follow_keys, read_folder
from tests.unit.decision import case as c


def phase(world: c.World) -> Phase:
    verdict = world.verdict(c.KEY, now=c.NOW)
    assert verdict is not None
    return verdict.phase


async def until(world: c.World, wanted: Phase) -> None:
    async with asyncio.timeout(10):
        while phase(world) is not wanted:  # noqa: ASYNC110 - the task under test tells nobody
            await asyncio.sleep(0.005)


async def test_a_key_that_comes_counts_and_one_that_goes_does_not_any_more(tmp_path: Path) -> None:
    world = c.promoted_world()
    world.trust_controller(None)
    following = asyncio.create_task(follow_keys(tmp_path / "keys", world, every_seconds=0.005))
    try:
        (tmp_path / "keys").mkdir()
        assert phase(world) is Phase.CANARY
        (tmp_path / "keys" / "a.pem").write_text(SigningKey.generate().public_pem)
        (tmp_path / "keys" / "b.pem").write_text(c.controller_key().public_pem)
        await until(world, Phase.SERVING)
        (tmp_path / "keys" / "b.pem").unlink()
        await until(world, Phase.CANARY)
    finally:
        following.cancel()


def test_what_is_too_large_or_no_text_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    (tmp_path / "large.pem").write_bytes(b"x" * 16_385)
    (tmp_path / "binary.pem").write_bytes(b"\xff\x00")
    (tmp_path / "trust-root.json").write_text("{}")
    assert list(read_folder(tmp_path)) == ["binary.pem"]
    assert read_folder(tmp_path / "nowhere") == {}
