"""The guide to scoring shows a suite that works, and every scorer there is."""

import re
from pathlib import Path

import yaml

from sluice.api.scorers import _PARAMETERS, ScorerType
from sluice.api.scoring import SuiteSpec
from sluice.scoring.cases import read_cases
from sluice.scoring.plan import plan_run
from sluice.scoring.suite import prepare

GUIDE = (Path(__file__).parents[2] / "docs" / "scoring.md").read_text()


def test_the_suite_of_the_guide_can_be_used_as_it_stands() -> None:
    (manifest,) = (yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", GUIDE, flags=re.DOTALL))
    suite = SuiteSpec.model_validate(manifest["spec"])
    cases = read_cases((suite.cases.inline or "").encode())
    plan = plan_run(suite, cases, run="a/b", candidate="http://a:1", baseline="http://b:1", seed=1, planned=100, minimum=None, shards=1, end_token="t" * 16)
    prepare(plan, cases)


def test_every_scorer_and_every_parameter_is_in_the_guide() -> None:
    named = set(re.findall(r"`([A-Za-z]+)`", GUIDE))
    assert {*map(str, ScorerType), *_PARAMETERS} - named == set()
