"""What is stored comes back as it was, or not at all."""

import json

import numpy as np
import pytest

from sluice.scoring.drift.detector import State
from sluice.scoring.drift.histogram import Histogram, freeze_names, freeze_numbers
from sluice.scoring.drift.mean import MeanDetector, MeanReference
from sluice.scoring.drift.refused import DriftRefused
from sluice.scoring.drift.settings import Promise
from sluice.scoring.drift.stored import STORED_LIMIT, digest, dump, load

WATCHING = MeanDetector(reference=MeanReference.of_counts(100, 1000), promise=Promise())


@pytest.mark.parametrize("values", [np.arange(50) % 2, np.ones(50)], ids=["quiet", "alarmed"])
def test_a_state_comes_back_bit_for_bit(values: np.ndarray) -> None:
    state = WATCHING.observe(WATCHING.start(), values)
    assert load(State, dump(state)) == state


@pytest.mark.parametrize("reference", [freeze_numbers(np.random.default_rng(1).random(5000)), freeze_names({"a": 1, "b": 2})], ids=["numbers", "names"])
def test_a_reference_comes_back_with_its_digest(reference: Histogram) -> None:
    back = load(Histogram, dump(reference))
    assert back == reference
    assert digest(back) == digest(reference)


def test_a_changed_reference_has_another_digest() -> None:
    assert digest(freeze_names({"a": 1})) != digest(freeze_names({"a": 2}))
    assert digest(MeanReference.of_counts(1, 10)) != digest(MeanReference.of_counts(1, 11))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"seen": "1"}, "seen"),
        ({"seen": 1.5}, "seen"),
        ({"extra": 1}, "extra"),
        ({"capital": [None]}, "capital"),
        ({"alarm": {"feature": "mean"}}, "alarm"),
    ],
)
def test_a_state_with_a_wrong_field_is_refused_by_its_name(change: dict[str, object], why: str) -> None:
    stored = {**json.loads(dump(WATCHING.start())), **change}
    with pytest.raises(DriftRefused, match=f"stored State is not one.*{why}"):
        load(State, json.dumps(stored).encode())


@pytest.mark.parametrize("raw", [b"", b"{", b'{"seen":NaN}', b'{"seen":1,"seen":2}', b" " * (STORED_LIMIT + 1)])
def test_what_is_not_json_is_refused(raw: bytes) -> None:
    with pytest.raises(DriftRefused, match="stored State"):
        load(State, raw)


def test_the_rules_of_a_reference_hold_for_a_stored_one_too() -> None:
    with pytest.raises(DriftRefused, match="sorted"):
        load(Histogram, b'{"bins":{"names":["b","a"]},"counts":[1,2,3]}')
    with pytest.raises(DriftRefused, match="counts"):
        load(Histogram, b'{"bins":{"names":["a"]},"counts":[1,2,3]}')


def test_the_largest_reference_and_state_that_are_possible_can_be_stored() -> None:
    names = freeze_names({f"{i:03}" + "x" * 250: 1000 for i in range(64)})
    numbers = freeze_numbers(np.random.default_rng(1).random(10_000) * 1e300, bins=250)
    for value in (names, numbers):
        assert len(dump(value)) < STORED_LIMIT
