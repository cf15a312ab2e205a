"""`sluice canary plan` as somebody types it."""

import json

import yaml
from click.testing import CliRunner

from sluice.cli import main

SMALL = ["canary", "plan", "--planned", "100", "--simulations", "20", "--drops", "0,0.4"]


def test_the_table_says_what_is_found_and_how_long_it_takes() -> None:
    done = CliRunner().invoke(main, [*SMALL, "--per-second", "2"])
    assert done.exit_code == 0, done.output
    rows = [line.split() for line in done.stdout.splitlines()]
    assert next(row[:3] for row in rows if row[0] == "0.4") == ["0.4", "0.0%", "100.0%"]
    assert "s" in next(row[-1] for row in rows if row[0] == "0.4")


def test_a_minimum_time_is_counted_where_the_candidate_is_fine() -> None:
    done = CliRunner().invoke(main, [*SMALL, "--margin", "0.2", "--per-second", "2", "--min-duration", "1h30m"])
    assert done.exit_code == 0, done.output
    times = {line.split()[0]: " ".join(line.split()[6:]) for line in done.stdout.splitlines()[1:]}
    assert times["0"] == "1 h 30 min", "all 100 are in after 50 s, and then it waits"
    assert times["0.4"].endswith(" s"), "a rollback does not wait"


def test_each_row_of_the_table_is_one_line_with_whole_words() -> None:
    done = CliRunner().invoke(main, [*SMALL, "--slices", "2", "--per-second", "2"], env={"COLUMNS": "80"})
    heading, *rows = done.stdout.splitlines()
    assert " INCONCLUSIVE " in heading
    assert [row.split("  ")[0] for row in rows] == ["0", "0.4", "0.4 in a slice of 50.0%"]


def test_json_and_yaml_say_the_same() -> None:
    as_json = CliRunner().invoke(main, [*SMALL, "--slices", "2", "-o", "json"])
    as_yaml = CliRunner().invoke(main, [*SMALL, "--slices", "2", "-o", "yaml"])
    data = json.loads(as_json.stdout)
    assert data == yaml.safe_load(as_yaml.stdout)
    assert {"alpha", "promotesAfter"} <= data["setting"].keys()
    assert {"rolledBack", "nineInTen"} <= data["drops"][0].keys(), "members are named as those of resources"
    assert [(row["drop"], row["share"]) for row in data["drops"]] == [(0.0, None), (0.4, None), (0.4, 0.5)]


def test_of_slices_of_many_sizes_a_large_a_middle_and_a_small_one_are_tried() -> None:
    done = CliRunner().invoke(main, [*SMALL[:-1], "0.6", "--slices", "120,10,30,40,2", "-o", "json"])
    rows = json.loads(done.stdout)["drops"]
    assert [row["share"] and round(row["share"] * 202) for row in rows] == [None, 120, 30, 2]
    assert rows[1]["rolledBack"] == 1 > rows[3]["rolledBack"]


def test_what_cannot_be_planned_is_a_usage_error_that_names_it() -> None:
    for change, words in (
        (["--margin", "1"], "margin: 1.0"),
        (["--drops", "a"], "'a'"),
        (["--drops", ""], "''; write numbers"),
        (["--per-second", "nan"], "nan; write how many units"),
        (["--slices", "1,x"], "'1,x'"),
        (["--slices", "1,-2"], "sizes above 0"),
        (["--slices", "256"], "write 0 to 255"),
        (["--churn", "0"], "churn: 0.0"),
        (["--per-second", "2", "--min-duration", "10"], "'10'"),
        (["--min-duration", "10m"], "goes with --per-second"),
    ):
        done = CliRunner().invoke(main, [*SMALL, *change])
        assert done.exit_code == 2
        assert words in done.output
