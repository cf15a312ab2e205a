"""Files that the tools themselves wrote, two versions each, unedited: lm-eval and garak here, Inspect and promptfoo beside their own tests.

How they were made, offline, in an environment with the tool: `files/README.md`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.evidence.harness.raw import read_raw

FILES = Path(__file__).with_name("files")
LM_EVAL, GARAK = sorted(FILES.glob("lm-eval-*.json")), sorted(FILES.glob("garak-*.report.jsonl.gz"))


def test_there_are_two_versions_of_each_tool() -> None:
    found = [len(sorted(FILES.glob(pattern))) for pattern in ("lm-eval-*.json", "garak-*.gz", "inspect-*.eval", "promptfoo-*.json")]
    assert found == [2, 2, 2, 2]


@pytest.mark.parametrize("path", LM_EVAL, ids=lambda path: path.name)
def test_what_lm_eval_wrote_is_read(path: Path) -> None:
    read = read_raw(path.name, path.read_bytes())
    assert {(each.suite, each.metric, each.filter): (each.value, each.samples) for each in read} == {
        ("sums", "acc", "none"): (0.5, 8),
        ("sums", "acc_norm", "none"): (0.5, 8),
    }
    assert {f"lm-eval-{each.harness_version}.json" for each in read} == {path.name}
    assert len({each.suite_digest for each in read} - {None}) == 1


@pytest.mark.parametrize("path", GARAK, ids=lambda path: path.name)
def test_what_garak_wrote_is_read_and_comes_to_its_own_counts(path: Path) -> None:
    read = {(each.suite, each.metric): each for each in read_raw(path.name, path.read_bytes()) if not each.slice}
    assert {f"garak-{each.harness_version}.report.jsonl.gz" for each in read.values()} == {path.name}
    assert {name: (each.value, each.samples) for name, each in read.items()} == {
        ("apikey.CompleteKey", "apikey.ApiKey/passed"): (1.0, 6),
        ("apikey.GetKey", "apikey.ApiKey/passed"): (1.0, 6),
    }
