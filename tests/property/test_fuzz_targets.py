"""Everything that reads what strangers wrote ends in the error that it promises: the corpora, and changes of them at random."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.__main__ import main
from tests.fuzz.mutation import mutated
from tests.fuzz.targets import TARGETS, seeds


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_what_was_found_before_and_what_is_good_is_read_in_peace(name: str) -> None:
    for raw in seeds(name):
        TARGETS[name](raw)


@pytest.mark.parametrize("name", sorted(TARGETS))
@given(data=st.data())
def test_a_changed_input_is_read_or_refused_and_raises_nothing_else(name: str, data: st.DataObject) -> None:
    raw = data.draw(st.sampled_from([b"{}", *seeds(name)]))
    TARGETS[name](mutated(raw, data.draw(st.randoms(use_true_random=False))))


def test_what_a_target_does_not_promise_is_found_and_kept(tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fragile(raw: bytes) -> None:
        if raw != b"{}":
            raise KeyError("unforeseen")

    monkeypatch.setattr("tests.fuzz.__main__.TARGETS", {"objects": fragile})
    monkeypatch.setattr("tests.fuzz.__main__.CORPUS", tmp_path)
    assert main(["objects", "--seconds", "5", "--seed", "1", "--memory-mib", "100000", "--without-atheris"]) == 1
    assert "found" in capsys.readouterr().out
