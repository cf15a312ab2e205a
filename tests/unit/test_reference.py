"""Generated files say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from sluice.api.crd import render
from sluice.api.frameworks import FRAMEWORKS
from sluice.api.policy import PolicySpec
from sluice.decision.frameworks import TITLES
from sluice.decision.frameworks import markdown as controls
from sluice.decision.reasons import MEANING, Reason, markdown
from sluice.decision.run_reasons import RUN_MEANING, RunReason
from sluice.evidence.families import markdown as families

ROOT = Path(__file__).parents[2]


def test_the_crds_are_those_of_the_models() -> None:
    files = {path.name: path.read_text() for path in (ROOT / "crds").glob("*.yaml")}
    assert files == render(), "run `make crds`"


def test_every_reason_is_explained_and_the_page_is_current() -> None:
    assert set(MEANING) == set(Reason)
    assert set(RUN_MEANING) == set(RunReason)
    assert (ROOT / "docs" / "reasons.md").read_text() == markdown(), "run `make reference`"


def test_every_control_of_a_profile_has_a_title_and_the_page_is_current() -> None:
    found = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "examples" / "profiles").glob("*.yaml"))]
    profiles = {each["metadata"]["name"]: PolicySpec.model_validate(each["spec"]) for each in found}
    requirements = [requirement for spec in profiles.values() for requirement in spec.requirements]
    assert all(requirement.control_mappings for requirement in requirements)
    named = {control for requirement in requirements for control in requirement.control_mappings or ()}
    assert named == set(TITLES)
    assert {control.split(":")[0] for control in named} == set(FRAMEWORKS)
    assert (ROOT / "docs" / "controls.md").read_text() == controls(profiles), "run `make reference`"


def test_the_page_of_families_is_current() -> None:
    assert (ROOT / "docs" / "families.md").read_text() == families(), "run `make reference`"


def test_what_statistics_come_to_is_explained() -> None:
    judgement = (ROOT / "operator/sluice/scoring/judgement.py").read_text()
    given = set(re.findall(r'Decision\.[A-Z_]+, "([A-Za-z]+)"', judgement))
    assert given
    assert given <= set(RunReason)
