"""Generated files say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from sluice.api.crd import render
from sluice.decision.reasons import MEANING, Reason, markdown
from sluice.decision.run_reasons import RUN_MEANING, RunReason

ROOT = Path(__file__).parents[2]


def test_the_crds_are_those_of_the_models() -> None:
    files = {path.name: path.read_text() for path in (ROOT / "crds").glob("*.yaml")}
    assert files == render(), "run `make crds`"


def test_every_reason_is_explained_and_the_page_is_current() -> None:
    assert set(MEANING) == set(Reason)
    assert set(RUN_MEANING) == set(RunReason)
    assert (ROOT / "docs" / "reasons.md").read_text() == markdown(), "run `make reference`"


def test_what_statistics_come_to_is_explained() -> None:
    judgement = (ROOT / "operator/sluice/scoring/judgement.py").read_text()
    given = set(re.findall(r'Decision\.[A-Z_]+, "([A-Za-z]+)"', judgement))
    assert given
    assert given <= set(RunReason)
