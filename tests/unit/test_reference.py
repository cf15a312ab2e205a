"""Generated files say what the code says."""

from __future__ import annotations

from pathlib import Path

from sluice.api.crd import render
from sluice.decision.reasons import MEANING, Reason, markdown

ROOT = Path(__file__).parents[2]


def test_the_crds_are_those_of_the_models() -> None:
    files = {path.name: path.read_text() for path in (ROOT / "crds").glob("*.yaml")}
    assert files == render(), "run `make crds`"


def test_every_reason_is_explained_and_the_page_is_current() -> None:
    assert set(MEANING) == set(Reason)
    assert (ROOT / "docs" / "reasons.md").read_text() == markdown(), "run `make reference`"
