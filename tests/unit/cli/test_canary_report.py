"""The report of a comparison: what its first sentence says, that it needs nothing else, and that its numbers are those of the run."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from sluice.cli.canary_report import report
from sluice.cli.canary_watch import Wanted
from sluice.cli.report.as_json import numbers
from sluice.cli.report.detail import judged, merged_of
from sluice.cli.report.numbers import read_run
from sluice.cli.report.page import POLICY, page
from sluice.cli.report.words import between, headline, rate
from sluice.scoring.kept import pack
from sluice.scoring.wire import read_statistics
from tests.unit.cli.canary_pages import Elements, alone
from tests.unit.cli.canary_runs import EVERY, EXPOSING, HIT, HOSTILE_RUN, INCONCLUSIVE, NOTHING, PENDING, PROMOTED, ROLLED_BACK, SILENT, Object, run
from tests.unit.cli.canary_statistics import FEW, counted, plan, small, statistics

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "canary-report.schema.json").read_text(encoding="utf-8"))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A run that rolled back, its plan and its statistics, in a folder."""
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(ROLLED_BACK))
    (tmp_path / "plan.json").write_bytes(small().as_json())
    for shard, text in enumerate(counted()):
        (tmp_path / f"shard-{shard}.json").write_bytes(text)
    return tmp_path


def reported(folder: Path, *arguments: str) -> Result:
    """Run the command; files are those of the folder."""
    return CliRunner().invoke(report, [str(folder / argument) if (folder / argument).is_file() else argument for argument in arguments])


COUNTED = ("--plan", "plan.json", "--statistics", "shard-0.json", "--statistics", "shard-1.json")


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (ROLLED_BACK, "Rolled back after 312 of 3,000 cases: accuracy on region=DACH is 4 to 11 points worse than the baseline; at most 2 are allowed."),
        (HIT, "Rolled back after 40 of 3,000 cases: leaks was hit by 2 answers of the candidate, and a single hit is enough."),
        (
            PROMOTED,
            (
                "Promoted after all 3,000 cases: no metric is worse than allowed. The closest: accuracy is between 1.5 points worse and 1.1 points better "
                "than the baseline; at most 2 are allowed."
            ),
        ),
        (
            INCONCLUSIVE,
            (
                "No decision after all 3,000 cases: accuracy may be between 4.1 points worse and 1.7 points better than the baseline; at most 2 are allowed, "
                "so neither side is shown."
            ),
        ),
        (
            PENDING,
            (
                "Not decided yet, after 312 of 3,000 cases: accuracy may be between 4.1 points worse and 1.7 points better than the baseline; "
                "at most 2 are allowed."
            ),
        ),
        (
            EXPOSING,
            ("Found good enough after 312 of 3,000 cases, and not promoted yet: stage 1 of 2, at most 5.00% for 600 s: one Pod among 20 of Service churn."),
        ),
        (
            run(phase="Pending", decision="Pending", units=312, planned=3000, reason="ScoringSuspended", message="Job churn-scorer is suspended"),
            "Not decided yet, after 312 of 3,000 cases, and none is asked now: Job churn-scorer is suspended.",
        ),
        (NOTHING, "Not decided yet, no case is asked so far: the controller has not looked at it yet."),
        (
            run(phase="Decided", decision="RollBack", reason="CandidateDoesNotStart", message="container model waits: CrashLoopBackOff"),
            "Rolled back after 0 of 3,000 cases: container model waits: CrashLoopBackOff.",
        ),
    ],
)
def test_the_first_sentence_says_what_came_out_and_why(of: Object, said: str) -> None:
    comparison = read_run(of)
    assert headline(comparison) == said
    assert said in "".join(Elements(alone(of)).text)


def test_a_metric_that_is_not_what_rolled_back_is_not_blamed() -> None:
    # Both have the evidence; the message names the one that came first.
    status = ROLLED_BACK["status"]
    both = read_run(run(**status | {"metrics": [status["metrics"][0] | {"slice": "region=Nordics"}, *status["metrics"]]}))
    assert "accuracy on region=DACH" in headline(both)


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ((-0.11, -0.04), "4 to 11 points worse"),
        ((-0.011, -0.0099), "1 to 1.1 points worse"),
        ((-0.01, -0.01), "1 point worse"),
        ((-0.01, 0.03), "between 1 point worse and 3 points better"),
        ((0.02, 0.05), "2 to 5 points better"),
    ],
)
def test_an_interval_in_words(interval: tuple[float, float], said: str) -> None:
    assert between(*interval) == said


@pytest.mark.parametrize(("share", "said"), [(0.05, "5 in 100"), (0.001, "1 in 1,000"), (0.025, "2.5 in 100")])
def test_an_error_rate_in_words(share: float, said: str) -> None:
    assert rate(share) == said


@pytest.fixture(scope="module")
def judged_again() -> str:
    """A page with everything that statistics tell."""
    told = read_run(ROLLED_BACK)
    margins = dict.fromkeys(plan().compared, Decimal("0.02"))
    comparison, detail = judged(plan(), merged_of(plan(), [("a shard", text) for text in statistics(plan())]), told.inputs, margins)
    return page(comparison, detail)


@pytest.fixture(params=[*EVERY, "with statistics"])
def written(request: pytest.FixtureRequest, judged_again: str) -> str:
    """Every page there is."""
    return judged_again if request.param == "with statistics" else alone(EVERY[request.param])


def test_a_page_needs_nothing_but_itself(written: str) -> None:
    found = Elements(written)
    assert found.names.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "base", "form", "a", "image"})
    assert all(value.startswith("#") for name, value in found.attributes if name.endswith("href"))
    assert not [name for name, _ in found.attributes if name in {"src", "srcset", "action"} or name.startswith("on")]
    assert all(target.startswith("#") for _, value in found.attributes for target in re.findall(r"url\(([^)]*)", value))
    style = written[written.index("<style>") : written.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert ("content", POLICY) in found.attributes


def test_elements_have_names_of_their_own_and_drawings_have_words(written: str) -> None:
    found = Elements(written)
    assert len(found.ids) == len(set(found.ids))
    referred = {value.removeprefix("#") for name, value in found.attributes if name.endswith("href")}
    referred |= {name for _, value in found.attributes for name in re.findall(r"url\(#([^)]*)\)", value)}
    referred |= {name for key, value in found.attributes if key == "aria-labelledby" for name in value.split()}
    assert referred <= set(found.ids)
    assert written.count("<svg ") == written.count('role="img"') == written.count("<desc ")


def test_a_page_says_who_did_not_answer_and_why() -> None:
    written = page(read_run(SILENT), None)
    assert "no answer of the candidate to 10 of 10 questions; the first: POST /v1/completions: answered 404: �&lt;b&gt;no such model" in written


def test_names_of_others_stay_text() -> None:
    text = alone(HOSTILE_RUN)
    found = Elements(text)
    shown = "".join(found.text)
    assert "region=<script>alert(1)</script>" in shown
    assert 'https://evil.example/"><img src=x onerror=alert(1)>' in shown
    drawn = text[text.index("</desc>") : text.index("</svg>")]
    assert ">price=$1^2$  <" in drawn, "no formula"
    assert "\u202e" not in text
    assert "\x1b" not in text


def test_the_same_run_is_the_same_page() -> None:
    assert page(read_run(ROLLED_BACK), None) == alone(ROLLED_BACK)


def test_colours_are_those_of_the_page_light_or_dark(judged_again: str) -> None:
    body = judged_again[judged_again.index("<body>") :]
    assert re.findall(r"#[0-9a-f]{6}\b", body) == []
    assert {"var(--ink)", "var(--worse)", "var(--better)"} <= set(re.findall(r"var\(--\w+\)", body))


def test_statistics_tell_what_a_run_does_not(judged_again: str) -> None:
    for title in ("How it went", "Differences of single cases", "Noise", "Missing answers", "Latency", "Used"):
        assert f"<h2>{title}</h2>" in judged_again
    assert "too late" in judged_again
    without = alone(ROLLED_BACK)
    assert "<h2>What is not here</h2>" in without
    assert "<h2>Noise</h2>" not in without


def test_a_page_and_numbers_come_from_a_file_without_a_cluster(files: Path) -> None:
    result = reported(files, "--run-file", "run.yaml", "-o", str(files / "r.html"), "--json", str(files / "r.json"))
    assert (result.exit_code, result.output) == (0, "")
    assert "4 to 11 points worse" in (files / "r.html").read_text(encoding="utf-8")
    told = json.loads((files / "r.json").read_text(encoding="utf-8"))
    assert (told["decision"], told["metrics"][0]["slice"], told["detail"]) == ("RollBack", "region=DACH", None)


@pytest.mark.parametrize("which", EVERY)
def test_numbers_are_as_the_schema_says(files: Path, which: str) -> None:
    (files / "it.yaml").write_text(yaml.safe_dump(EVERY[which]))
    told = json.loads(reported(files, "--run-file", "it.yaml", "--json", "-").output)
    Draft202012Validator(SCHEMA).validate(told)


def test_numbers_of_statistics_are_as_the_schema_says_and_repeat_the_decision(files: Path) -> None:
    told = json.loads(reported(files, *COUNTED, "--json", "-").output)
    Draft202012Validator(SCHEMA).validate(told)
    assert (told["decision"], told["reason"], told["policy"]) == ("RollBack", "WorseThanMargin", None)
    assert told["message"] == "accuracy in region=DACH is worse than its margin of 0.02"
    assert told["metrics"][0]["slice"] == "region=DACH"
    path = next(path for path in told["detail"]["paths"] if (path["name"], path["slice"]) == ("accuracy", "region=DACH"))
    assert path["points"][-1]["units"] == told["units"]
    assert path["points"][-1]["estimate"] == told["metrics"][0]["estimate"]
    spread = next(found for found in told["detail"]["differences"] if (found["name"], found["slice"]) == ("accuracy", "region=DACH"))
    assert sum(spread["thousandths"].values()) == 1000 * told["metrics"][0]["pairs"]
    assert told["detail"]["sides"]["candidate"]["Asked"] == told["units"]


def test_the_schema_is_one_and_describes_no_more_than_there_is() -> None:
    Draft202012Validator.check_schema(SCHEMA)

    def closed(part: object) -> Iterator[bool]:
        if isinstance(part, dict):
            if "properties" in part and "type" in part:
                yield part.get("additionalProperties") is False and set(part["required"]) == set(part["properties"])
            for inner in part.values():
                yield from closed(inner)
        elif isinstance(part, list):
            for inner in part:
                yield from closed(inner)

    assert all(closed(SCHEMA))


def test_margins_at_a_desk_are_those_that_were_given(files: Path) -> None:
    for shard, text in enumerate(statistics(small(), loss=0.2)):
        (files / f"shard-{shard}.json").write_bytes(text)
    told = json.loads(reported(files, *COUNTED, "--margin", "0.5", "--margin", "latency=0.3", "--json", "-").output)
    assert {(metric["name"], metric["margin"]) for metric in told["metrics"]} == {("accuracy", 0.5), ("latency", 0.3)}
    assert told["decision"] == "Promote"


def test_statistics_that_contradict_the_run_are_told_and_the_run_stands(files: Path) -> None:
    (files / "promoted.yaml").write_text(yaml.safe_dump(PROMOTED))
    result = reported(files, "--run-file", "promoted.yaml", *COUNTED, "-o", str(files / "r.html"))
    assert result.exit_code == 0
    assert "careful: the run says Promote after 3,000 cases; its statistics, judged again, say RollBack after" in result.output
    shown = "".join(Elements((files / "r.html").read_text(encoding="utf-8")).text)
    assert "Careful:" in shown
    assert "Promoted after all 3,000 cases" in shown


def test_a_run_that_its_statistics_repeat_has_no_warning(files: Path) -> None:
    told = json.loads(reported(files, *COUNTED, "--json", "-").output)
    same = run(**ROLLED_BACK["status"] | {"units": told["units"], "planned": FEW})
    (files / "same.yaml").write_text(yaml.safe_dump(same))
    result = reported(files, "--run-file", "same.yaml", *COUNTED, "--json", str(files / "r.json"))
    assert result.output == ""
    # Not rounded as in the status, and with the digests that only the run has.
    both = json.loads((files / "r.json").read_text(encoding="utf-8"))
    assert both["metrics"] == told["metrics"]
    assert both["candidate"]["digest"] == "sha256:" + "a" * 64


def test_a_run_of_the_cluster_tells_its_paths_after_its_scorers_are_gone(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = small()
    kept = pack(of.as_json().decode(), [read_statistics(text, of.expected(shard)) for shard, text in enumerate(counted())])
    assert kept is not None
    decided = run(**ROLLED_BACK["status"] | {"statistics": {"configMap": "churn-2-1-0-canary-1-statistics", "digest": kept.digest}})

    async def read(_access: object, wanted: Wanted) -> tuple[dict[str, Any], bytes | None]:
        assert str(wanted) == "canary run of mr/churn-2-1-0 in namespace payments"
        return decided, kept.packed

    monkeypatch.setattr("sluice.cli.canary_report.read_once", read)
    told = json.loads(reported(files, "mr/churn-2-1-0", "-n", "payments", "--json", "-").stdout)
    assert {(path["name"], path["slice"]) for path in told["detail"]["paths"]} >= {("accuracy", "region=DACH")}
    decided["status"]["statistics"]["digest"] = "sha256:" + "0" * 64
    refused = reported(files, "mr/churn-2-1-0", "-n", "payments", "--json", "-")
    assert (refused.exit_code, "somebody changed it" in refused.output) == (2, True)


def test_a_run_had_as_many_scorers_as_its_plan_says(files: Path) -> None:
    single = plan(planned=FEW, shards=1)
    (files / "alone.json").write_bytes(single.as_json())
    (files / "counted.json").write_bytes(statistics(single, loss=1.0)[0])
    told = json.loads(reported(files, "--run-file", "run.yaml", "--plan", "alone.json", "--statistics", "counted.json", "--json", "-").stdout)
    assert (ROLLED_BACK["spec"]["shards"], told["shards"]) == (2, 1)


def test_statistics_of_a_run_whose_live_share_goes_on_promote_nothing(files: Path) -> None:
    (files / "exposing.yaml").write_text(yaml.safe_dump(EXPOSING))
    told = json.loads(reported(files, "--run-file", "exposing.yaml", *COUNTED, "--json", "-").stdout)
    assert (told["phase"], told["decision"]) == ("Exposing", "Pending")
    assert told["detail"] is not None


@pytest.mark.parametrize(
    ("exposure", "told"),
    [
        (None, "it has not begun"),
        ({"stage": 0}, "stage 1 waits"),
        ({"stage": 1, "since": "2026-11-21T07:05:00Z"}, "stage 2 since 2026-11-21T07:05:00Z, at 20 %"),
        ({"stage": 2}, "all stages are over"),
    ],
)
def test_a_page_says_how_far_a_live_share_is(exposure: Object | None, told: str) -> None:
    status: Object = {"exposure": {"pods": 1, "share": "0.2000", "ends": 0, "startedAt": "2026-11-21T07:02:05Z", **exposure}} if exposure else {}
    asked = run(phase="Exposing", decision="Pending", **status)
    assert "Live share" not in page(read_run(asked), None)
    asked["spec"]["exposure"] = [{"share": "0.05", "for": "10m"}, {"share": "0.25", "for": "1h"}]
    shown = page(read_run(asked), None)
    words = f"at most 5 % of the users for 10m, then at most 25 % of the users for 1h; {told}"
    assert words in shown
    assert numbers(read_run(asked))["liveShare"] == words


def test_half_of_the_statistics_is_a_comparison_that_goes_on(files: Path) -> None:
    for shard, text in enumerate(statistics(small(), loss=0.0, upto=0.3)):
        (files / f"shard-{shard}.json").write_bytes(text)
    told = json.loads(reported(files, *COUNTED, "--json", "-").output)
    assert (told["phase"], told["decision"]) == ("Scoring", "Pending")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--run-file", "run.yaml"], "say where to write the page"),
        (["--json", "-"], "name a run, with -n NAMESPACE"),
        (["RUN", "--json", "-"], "-n NAMESPACE"),
        (["RUN", "-n", "payments", "--run-file", "run.yaml", "--json", "-"], "not both"),
        (["--plan", "plan.json", "--json", "-"], "--statistics and --plan go together"),
        (["--run-file", "plan.json", "--json", "-"], "this is no CanaryRun"),
        (["--plan", "run.yaml", "--statistics", "shard-0.json", "--json", "-"], "run.yaml: the plan"),
        (["--plan", "plan.json", "--statistics", "plan.json", "--json", "-"], "plan.json: the statistics has members"),
        (["--plan", "plan.json", "--statistics", "of-another-plan.json", "--json", "-"], "of-another-plan.json: plan is 'sha256:"),
        (["--plan", "plan.json", "--statistics", "of-another-plan.json", "--json", "-"], "give statistics of this plan"),
        (["--run-file", "twice.yaml", "--json", "-"], "twice.yaml: line 2: member 'kind' is there twice"),
        (["--run-file", "two.yaml", "--json", "-"], "two.yaml: there are 2 objects in it; give a file with one CanaryRun alone"),
        (["--plan", "plan.json", "--statistics", "run.yaml", "--json", "-"], "the statistics"),
        (["--plan", "plan.json", "--statistics", "shard-1.json", "--statistics", "shard-1.json", "--json", "-"], "a shard is there twice"),
        ([*COUNTED, "--margin", "speed=0.1", "--json", "-"], "--margin names 'speed'"),
        ([*COUNTED, "--margin", "2", "--json", "-"], "give a number from 0 to 1"),
        ([*COUNTED, "--false-rollback-rate", "often", "--json", "-"], "between 0 and 0.5"),
        ([*COUNTED, "--false-rollback-rate", "0.7", "--json", "-"], "between 0 and 0.5"),
        (["--run-file", "run.yaml", *COUNTED, "--margin", "0.1", "--json", "-"], "the run says which margins"),
        (
            ["--run-file", "other.yaml", *COUNTED, "--json", "-"],
            "plan.json: the plan is of run payments/churn-2-1-0-canary-1 (seed 7), not of payments/another (seed 7): give the run",
        ),
    ],
)
def test_what_cannot_be_followed_says_what_to_do(files: Path, arguments: list[str], complaint: str) -> None:
    (files / "other.yaml").write_text(yaml.safe_dump(run(name="another")))
    (files / "twice.yaml").write_text("kind: CanaryRun\nkind: CanaryRun\n")
    (files / "two.yaml").write_text(yaml.safe_dump_all([run(), run(name="another")]))
    (files / "of-another-plan.json").write_bytes((files / "shard-0.json").read_bytes().replace(b"sha256:", b"sha256:0", 1))
    result = reported(files, *arguments)
    assert result.exit_code == 2
    assert complaint in result.output


def test_without_matplotlib_it_says_how_to_get_it_and_numbers_work(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = reported(files, "--run-file", "run.yaml", "-o", "-")
    assert result.exit_code != 0
    assert "install sluice[report]" in result.output
    assert reported(files, "--run-file", "run.yaml", "--json", "-").exit_code == 0
