"""What a report tells of judges, scorers of one's own and classes."""

from __future__ import annotations

import json
from dataclasses import replace

from sluice.cli.comparison import as_json as desk_json
from sluice.cli.comparison import as_table
from sluice.cli.report import as_json, page
from sluice.cli.report.detail import Detail
from sluice.scoring.classes import ClassFigures
from sluice.scoring.judgement import Decision, Judgement, Standing
from sluice.scoring.quality import Quality
from sluice.scoring.tally import Look, Merged

JUDGE = Quality(metric="helpful", units=400, lost=0.0025, contradicts=0.12, known=20, right=0.85)
OWN = Quality(metric="own", units=400, lost=0.0, contradicts=None, known=0, right=None)
CATS = ClassFigures(label="<b>cat</b>", expected=10, given=8, both=8)
NEVER = ClassFigures(label="dog", expected=2, given=0, both=0)
DETAIL = Detail(
    plan="sha256:" + "0" * 64, void=0, sides={"candidate": {}, "baseline": {}}, noise=(), qualities=(JUDGE, OWN),
    classes={"class": {"candidate": (CATS, NEVER), "baseline": (CATS, replace(NEVER, given=2, both=2))}}, latencies=(), paths=(), differences=(),
)  # fmt: skip


def test_a_page_tells_how_far_to_trust_a_judge() -> None:
    written = page._scorers(DETAIL)
    for told in ("helpful", "0.2%", "12.0%", ">20<", "85.0%"):
        assert told in written
    assert written.count("–") == 2, "a container contradicts nothing and knows nothing"
    assert page._scorers(replace(DETAIL, qualities=())) == ""


def test_a_page_tells_the_classes_of_both_sides_and_labels_stay_text() -> None:
    written = page._classes(DETAIL)
    assert "macro F1 of the candidate 44.4%, baseline 94.4%" in written
    assert "&lt;b&gt;cat&lt;/b&gt;" in written
    assert "<b>" not in written
    assert page._classes(replace(DETAIL, classes={})) == ""


def test_numbers_for_programs_leave_out_what_nothing_tells() -> None:
    told = as_json._detail(DETAIL)
    assert told["scorers"][1] == {"name": "own", "units": 400, "lost": 0.0, "contradicts": None, "known": 0, "right": None}
    assert [(each["side"], each["macroF1"]) for each in told["classes"]] == [("candidate", 0.444444), ("baseline", 0.944444)]
    assert told["classes"][0]["labels"][1] == {"label": "dog", "expected": 2, "precision": None, "recall": 0.0, "f1": 0.0}


def test_at_a_desk_the_same_is_told_and_counts_of_classes_are_no_sums() -> None:
    tallies = {"helpful": {"all": {0: 10_000}}, "lost:helpful": {"all": {0: 10_000}}, "swapped:helpful": {"all": {0: 9_000, -1000: 1_000}}}
    look = Look(look=0, units=10, void=0, tallies=tallies, sums={"candidate": {"Asked": 10, "class.0.0.both": 3}, "baseline": {}})
    merged = Merged(scored=10, of=10, finished=True, looks=(look,), gates={}, samples=())
    judgement = Judgement(decision=Decision.PROMOTE, reason="WithinMargin", message="fine", units=10, looks=1, gates={})
    standing = Standing(metric="helpful", slice="all", units=10, estimate=0.0, low=-0.1, high=0.1, promote=20.0, roll_back=0.0, more=None)
    lines = as_table(merged, judgement, [standing]).splitlines()
    assert "scorer helpful: silent about 0.0%, contradicts itself on 10.0%, right on – of 0 known cases" in lines
    assert "candidate: Asked 10" in lines
    told = json.loads(desk_json(merged, judgement, [standing]))
    assert told["sums"]["candidate"] == {"Asked": 10}
    assert told["scorers"][0]["contradicts"] == 0.1
