"""`sluice probe` says at its end what it found, or why there is nothing, where Kubernetes looks for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from sluice.cli import main
from sluice.scoring import probe as probing
from sluice.scoring.cases import Cases
from sluice.scoring.plan import REFUSED, Plan
from sluice.scoring.probe import Probed, read_message
from tests.unit.scoring import sides

CASE = '{"id": "c-1", "input": {"prompt": "a?"}, "expect": {"text": "yes"}}\n'


def run(folder: Path, *, plan: bytes, cases: str = CASE) -> tuple[int, bytes]:
    (folder / "plan.json").write_bytes(plan)
    (folder / "cases.jsonl").write_text(cases)
    (folder / "token").write_text("secret\n")
    words = ["probe", "--plan", "plan.json", "--cases", "cases.jsonl", "--metric", "accuracy", "--message", "said", "--token-file", "token"]
    done = CliRunner().invoke(main, [word if word not in {"plan.json", "cases.jsonl", "said", "token"} else str(folder / word) for word in words])
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
