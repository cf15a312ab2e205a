"""What is kept of a comparison gives the plan and the counts back, and nothing else passes for it."""

from __future__ import annotations

import gzip

import pytest

from sluice.scoring import kept
from sluice.scoring.kept import NotKept, pack, unpack
from sluice.scoring.plan import read_plan
from sluice.scoring.wire import read_statistics
from tests.unit.cli.canary_statistics import plan, statistics

PLAN = plan()
SAID = statistics(PLAN)
SHARDS = [read_statistics(text, PLAN.expected(shard)) for shard, text in enumerate(SAID)]


def packed() -> kept.Kept:
    found = pack(PLAN.as_json().decode(), SHARDS)
    assert found is not None
    return found


def test_the_plan_and_what_each_shard_said_come_back_to_the_byte_whatever_order_they_were_read_in() -> None:
    found = packed()
    told, said = unpack(found.packed, digest=found.digest)
    assert (read_plan(told), said) == (PLAN, SAID)
    assert pack(PLAN.as_json().decode(), SHARDS[::-1]) == found


def test_what_is_too_large_for_an_object_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "PACKED_BYTES", len(packed().packed) - 1)
    assert pack(PLAN.as_json().decode(), SHARDS) is None


def test_nothing_else_passes_for_it() -> None:
    found = packed()
    other = pack(PLAN.as_json().decode(), SHARDS[:1])
    assert other is not None
    for content, complaint in (
        (other.packed, "somebody changed it"), (found.packed[:-20], "cut off"), (b"text", "not packed"), (b"", "cut off"),
        (gzip.compress(b"[]"), "somebody changed it"),
    ):  # fmt: skip
        with pytest.raises(NotKept, match=complaint):
            unpack(content, digest=found.digest)


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_FILE_BYTES", 1000)
    with pytest.raises(NotKept, match="longer than 1,000 bytes"):
        unpack(gzip.compress(bytes(10_000_000)), digest="sha256:" + "0" * 64)
