"""Everything that reads what strangers wrote ends in the error that it promises: the corpora, and changes of them at random."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import grown
from tests.fuzz.__main__ import main
from tests.fuzz.mutation import mutated
from tests.fuzz.targets import TARGETS, seeds


@cache
def seeds_of(name: str) -> list[bytes]:
    return list(seeds(name))


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_what_was_found_before_and_what_is_good_is_read_in_peace(name: str) -> None:
    for raw in [*seeds_of(name), *grown.unpack(name)]:
        TARGETS[name](raw)


def test_what_has_grown_is_kept_once_and_the_same_each_time(tmp_path: Path) -> None:
    first, second = (
        grown.pack("statement", inputs, tmp_path / folder).read_bytes() for folder, inputs in (("a", [b"{}", b"[]", b"{}"]), ("b", [b"[]", b"{}"]))
    )
    assert first == second
    assert sorted(grown.unpack("statement", tmp_path / "a")) == [b"[]", b"{}"]
    assert list(grown.unpack("bundle", tmp_path / "a")) == []


@pytest.mark.parametrize("name", sorted(TARGETS))
# What is rare is for `python -m tests.fuzz` to find, in minutes: here it is seen that the targets hold what they promise.
@settings(max_examples=40)
@given(data=st.data())
def test_a_changed_input_is_read_or_refused_and_raises_nothing_else(name: str, data: st.DataObject) -> None:
    raw = data.draw(st.sampled_from([b"{}", *seeds_of(name)]))
    TARGETS[name](mutated(raw, data.draw(st.randoms(use_true_random=False))))


def test_what_a_target_does_not_promise_is_found_and_kept(tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fragile(raw: bytes) -> None:
        if raw != b"{}":
            raise KeyError("unforeseen")

    monkeypatch.setattr("tests.fuzz.__main__.TARGETS", {"objects": fragile})
    monkeypatch.setattr("tests.fuzz.__main__.CORPUS", tmp_path)
    assert main(["objects", "--seconds", "5", "--seed", "1", "--memory-mib", "100000", "--without-atheris"]) == 1
    assert "found" in capsys.readouterr().out
