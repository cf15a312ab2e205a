"""`sluice canary plan` as somebody types it."""

import json

import yaml
from click.testing import CliRunner

from sluice.cli import main

SMALL = ["canary", "plan", "--planned", "200", "--simulations", "20", "--drops", "0,0.4"]


def test_the_table_says_what_is_found_and_how_long_it_takes() -> None:
    done = CliRunner().invoke(main, [*SMALL, "--per-second", "2"])
    assert done.exit_code == 0, done.output
    rows = [line.split() for line in done.stdout.splitlines()]
    assert next(row[:3] for row in rows if row[0] == "0.4") == ["0.4", "0.0%", "100.0%"]
    assert "s" in next(row[-1] for row in rows if row[0] == "0.4")


def test_json_and_yaml_say_the_same() -> None:
    as_json = CliRunner().invoke(main, [*SMALL, "--slices", "2", "-o", "json"])
    as_yaml = CliRunner().invoke(main, [*SMALL, "--slices", "2", "-o", "yaml"])
    data = json.loads(as_json.stdout)
    assert data == yaml.safe_load(as_yaml.stdout)
    assert [(row["drop"], row["one_slice"]) for row in data["drops"]] == [(0.0, False), (0.4, False), (0.4, True)]


def test_what_cannot_be_planned_is_a_usage_error_that_names_it() -> None:
    for change, words in ((["--margin", "1"], "margin: 1.0"), (["--drops", "a"], "'a'"), (["--churn", "0"], "churn: 0.0")):
        done = CliRunner().invoke(main, [*SMALL, *change])
        assert done.exit_code == 2
        assert words in done.output
