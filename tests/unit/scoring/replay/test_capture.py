"""From a recording to cases: which are drawn, once each, and what the manifest says."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest

from sluice.scoring.case import Case
from sluice.scoring.cases import read_cases
from sluice.scoring.interpret import SuiteRefused
from sluice.scoring.protocols.template import Pointer
from sluice.scoring.replay import capture as capturing
from sluice.scoring.replay import recording as recordings
from sluice.scoring.replay.capture import Captured, CaptureRefused, Wanted, capture
from sluice.scoring.replay.recording import Lines, RecordingRefused, read_recording
from sluice.scoring.replay.redaction import Redactor

KEY = bytes(range(32))


def request(number: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - members
    return {"id": f"q-{number}", "request": {"prompt": f"question {number}?"}, "region": "dach" if number % 10 else "emea", **more}


def recorded(tmp_path: Path, *documents: Any, name: str = "day.jsonl") -> Path:  # noqa: ANN401 - any JSON
    path = tmp_path / name
    path.write_bytes(b"".join(document if isinstance(document, bytes) else json.dumps(document).encode() + b"\n" for document in documents))
    return path


def drawn(*paths: Path, cases: int = 20, seed: int = 7, stratify: str | None = None, key: bytes = KEY, suits: str = "") -> Captured:
    def check(case: Case) -> None:
        if suits not in str(case.input):
            raise SuiteRefused("does not suit")

    wanted = Wanted(cases=cases, seed=seed, slices={"region": Pointer.parse("/region")}, stratify=stratify, tags=["safe"])
    recording = read_recording(paths, seed=seed, slices=wanted.slices, stratify=stratify)
    with Lines(paths) as lines:
        return capture(recording, lines.of, Redactor(key), wanted, check=check, key_is_kept=False)


def ids(captured: Captured) -> list[str]:
    return [case.id for case in read_cases(captured.cases).all]


def test_the_sample_does_not_depend_on_the_order_of_the_lines_nor_on_the_files(tmp_path: Path) -> None:
    requests = [request(number) for number in range(100)]
    whole = recorded(tmp_path, *requests)
    shuffled = random.Random(1).sample(requests, 100)
    parts = [recorded(tmp_path, *shuffled[:30], name="a.jsonl"), recorded(tmp_path, *shuffled[30:], name="b.jsonl")]
    assert drawn(whole).cases == drawn(*parts).cases
    assert len(ids(drawn(whole))) == 20


@pytest.mark.parametrize("stratify", [None, "region"])
def test_a_larger_sample_begins_with_the_smaller(tmp_path: Path, stratify: str | None) -> None:
    path = recorded(tmp_path, *(request(number) for number in range(100)))
    large = drawn(path, cases=60, stratify=stratify).cases
    assert [large.startswith(drawn(path, cases=cases, stratify=stratify).cases) for cases in (1, 2, 19, 59)] == [True] * 4


def test_another_seed_draws_others_and_the_key_does_not(tmp_path: Path) -> None:
    path = recorded(tmp_path, *(request(number) for number in range(100)))
    assert set(ids(drawn(path))) != set(ids(drawn(path, seed=8)))
    assert ids(drawn(path)) == ids(drawn(path, key=bytes(32)))


def test_by_strata_each_has_as_many_as_there_are(tmp_path: Path) -> None:
    path = recorded(tmp_path, *(request(number) for number in range(100)))
    assert drawn(path, stratify="region").manifest["strata"] == {"dimension": "region", "cases": {"dach": 10, "emea": 10}}
    assert drawn(path, cases=40, stratify="region").manifest["strata"] == {"dimension": "region", "cases": {"dach": 30, "emea": 10}}
    assert sum(case.slices["region"] == "emea" for case in read_cases(drawn(path, cases=40).cases).all) < 10


def test_a_question_that_was_asked_often_is_one_case(tmp_path: Path) -> None:
    path = recorded(tmp_path, *(request(0, id=f"q-{number}") for number in range(9)), request(1))
    captured = drawn(path)
    assert len(ids(captured)) == 2
    assert captured.manifest["alike"] == 8


def test_two_questions_with_one_id_are_two_cases(tmp_path: Path) -> None:
    assert len(ids(drawn(recorded(tmp_path, request(1, id="same"), request(2, id="same"))))) == 2


def test_no_secret_is_in_what_is_written(tmp_path: Path) -> None:
    secret = "anna@firma.de"
    path = recorded(tmp_path, request(1, id=secret, request={"prompt": f"mail {secret}"}, region=secret, tags=[f"of-{secret}", "plain"]), request(2))
    captured = drawn(path, stratify="region")
    assert secret not in captured.cases.decode() + json.dumps(captured.manifest)
    assert captured.manifest["replaced"] == {"EMAIL": 2}
    assert {tag for case in read_cases(captured.cases).all for tag in case.tags} == {"plain", "safe"}


def test_numbers_of_tensors_stay_and_those_of_fields_do_not(tmp_path: Path) -> None:
    card = 4111111111111111
    tensors = {"inputs": [{"name": "x", "shape": [1], "datatype": "INT64", "data": [card]}]}
    captured = drawn(recorded(tmp_path, request(1, request=tensors), request(2, request={"fields": {"card": card}})))
    assert captured.manifest["replaced"] == {"CARD": 1}
    assert f'"data":[{card}]' in captured.cases.decode()


def test_the_manifest_says_how_it_came_about(tmp_path: Path) -> None:
    path = recorded(tmp_path, request(1), b"\n", b"GET /healthz\n", {"prompt": ""}, {"prompt": "not that"})
    captured = drawn(path, suits="question")
    assert captured.manifest == {
        "type": "sluice.dev/replay/v1",
        "recordings": [{"name": "day.jsonl", "digest": "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest(), "lines": 4}],
        "seed": 7,
        "requests": 3,
        "asked": 20,
        "cases": {"digest": read_cases(captured.cases).digest, "number": 1},
        "alike": 0,
        "leftOut": {"NotJson": 1, "Invalid": 1, "Unsuitable": 1},
        "replaced": {},
        "key": None,
    }


def test_a_line_that_is_too_long_is_left_out_and_the_next_one_is_read(tmp_path: Path) -> None:
    path = recorded(tmp_path, {"prompt": "x" * (2 << 20)}, request(1))
    assert drawn(path).manifest["leftOut"] == {"TooLong": 1}
    assert len(ids(drawn(path))) == 1


def test_a_recording_of_which_nothing_comes_says_why(tmp_path: Path) -> None:
    with pytest.raises(CaptureRefused, match=r"NotJson: line 1 of day\.jsonl"):
        drawn(recorded(tmp_path, b"GET /healthz\n"))


def test_what_is_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = recorded(tmp_path, *(request(number, region=f"r{number}") for number in range(300)))
    with pytest.raises(CaptureRefused, match="has 300 values"):
        drawn(path, stratify="region")
    monkeypatch.setattr(capturing, "FILE_BYTES", 1000)
    with pytest.raises(CaptureRefused, match="draw fewer"):
        drawn(path)
    monkeypatch.setattr(recordings, "LINES", 299)
    with pytest.raises(RecordingRefused, match="more than 299 requests"):
        drawn(path)
    monkeypatch.setattr(recordings, "FILE_BYTES", 10)
    with pytest.raises(RecordingRefused, match="cut it into parts"):
        drawn(path)


def test_a_recording_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    path = recorded(tmp_path, request(1))
    recording = read_recording([path], seed=7, slices={}, stratify=None)
    recorded(tmp_path, request(2))
    with Lines([path]) as lines, pytest.raises(RecordingRefused, match="has changed"):
        lines.of(recording.records[0])
