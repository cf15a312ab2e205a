"""`sluice probe` says at its end what it found, or why there is nothing, where Kubernetes looks for it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from sluice.cli import main
from sluice.scoring import live
from sluice.scoring import probe as probing
from sluice.scoring.cases import Cases
from sluice.scoring.live import Source
from sluice.scoring.plan import REFUSED, Plan
from sluice.scoring.probe import Probed, read_message
from tests.unit.scoring import sides

CASE = '{"id": "c-1", "input": {"prompt": "a?"}, "expect": {"text": "yes"}}\n'


def run(folder: Path, *, plan: bytes, cases: str = CASE, more: tuple[str, ...] = ()) -> tuple[int, bytes]:
    (folder / "plan.json").write_bytes(plan)
    (folder / "cases.jsonl").write_text(cases)
    (folder / "token").write_text("secret\n")
    words = ["probe", "--plan", "plan.json", "--cases", "cases.jsonl", "--metric", "accuracy", "--message", "said", "--token-file", "token"]
    done = CliRunner().invoke(main, [word if word not in {"plan.json", "cases.jsonl", "said", "token"} else str(folder / word) for word in words] + [*more])
    said = folder / "said"
    return done.exit_code, said.read_bytes() if said.exists() else b""


def test_what_a_probe_came_to_is_its_last_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Probed(plan=sides.plan().digest, values={1.0: 3}, missing=1)

    async def asks(plan: Plan, cases: Cases, *, metric: str, token: str | None) -> Probed:
        assert (plan.digest, len(cases.all), metric, token) == (told.plan, 1, "accuracy", "secret")
        return told

    monkeypatch.setattr(probing, "probe", asks)
    code, said = run(tmp_path, plan=sides.plan().as_json())
    assert code == 0
    assert read_message(said, plan=told.plan, most=4) == told


@pytest.mark.parametrize(
    ("plan", "cases"), [(b"{}", CASE), (sides.plan().as_json(), "no case"), (sides.plan().as_json(), CASE)], ids=["plan", "cases", "digest"]
)
def test_what_cannot_be_followed_ends_it_for_good_and_says_why(tmp_path: Path, plan: bytes, cases: str) -> None:
    code, said = run(tmp_path, plan=plan, cases=cases)
    assert code == REFUSED
    assert said
    assert b"Traceback" not in said


WHEN = ("--since", "2026-11-21T12:00:00Z", "--until", "2026-11-21T12:01:00Z")


def test_answers_of_users_are_fetched_where_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Probed(plan=sides.plan().digest, values={1.0: 3}, missing=1)

    async def fetches(plan: Plan, cases: Cases, *, metric: str, source: Source, token: str | None) -> Probed:
        assert (plan.digest, len(cases.all), metric, token) == (told.plan, 1, "accuracy", "secret")
        assert (source.endpoint.origin, source.path, source.until - source.since) == ("http://10.0.0.7:9000", "/v1/samples", timedelta(minutes=1))
        return told

    monkeypatch.setattr(live, "watch", fetches)
    code, said = run(tmp_path, plan=sides.plan().as_json(), more=("--live", "http://10.0.0.7:9000/v1/samples", *WHEN))
    assert code == 0
    assert read_message(said, plan=told.plan, most=4) == told


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--live", "http://10.0.0.7:9000/"), 2),
        (WHEN, 2),
        (("--live", "file:///etc/passwd", *WHEN), REFUSED),
        (("--live", "http://10.0.0.7:9000/", "--since", "noon", *WHEN[2:]), REFUSED),
    ],
)
def test_a_time_or_a_place_that_is_none_is_refused(tmp_path: Path, more: tuple[str, ...], code: int) -> None:
    assert run(tmp_path, plan=sides.plan().as_json(), more=more)[0] == code
