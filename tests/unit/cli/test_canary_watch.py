"""A comparison on a terminal and in a pipe. The API server is scripted: what changes, and when it does not answer."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import pytest
import yaml
from click.testing import CliRunner
from rich.console import Console

from sluice.cli import canary_watch
from sluice.cli.access import Unknown
from sluice.cli.canary_watch import Wanted, choose, follow, watch
from sluice.cli.report.numbers import Unreadable, read_run
from sluice.cli.report.terminal import interval_bar, race_bar, reach_of, view
from sluice.cluster import client as client_module
from sluice.cluster.client import ApiClient, Page
from sluice.cluster.connection import Connection
from sluice.cluster.errors import ApiError, Forbidden, Gone, Unavailable
from tests.unit.cli.canary_runs import (
    EVERY,
    EXPOSING,
    FINE,
    HOSTILE_RUN,
    INCONCLUSIVE,
    NOTHING,
    OPEN,
    PENDING,
    PROMOTED,
    ROLLED_BACK,
    SILENT,
    SLICE,
    WAITING,
    Object,
    run,
)

NOW = datetime(2026, 11, 21, 7, 1, tzinfo=UTC)


def drawn(of: Object, width: int) -> str:
    console = Console(width=width, record=True, color_system=None, file=None, force_terminal=False, highlight=False, markup=False)
    with console.capture() as captured:
        console.print(view(read_run(of), now=NOW, width=width))
    return captured.get()


class Server(ApiClient):
    """Lists `runs`, and says what `script` has for each watch: events, or an error that ends it."""

    def __init__(self, runs: list[Object], script: list[list[Object | BaseException]] | None = None, refusal: ApiError | None = None) -> None:
        super().__init__(Connection.__new__(Connection))
        self.runs, self.script, self.refusal = runs, script or [], refusal
        self.selectors: list[str | None] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    async def list_page(self, *_: object, field_selector: str | None = None, more: str = "", **__: object) -> Page:
        if self.refusal is not None:
            raise self.refusal
        # One at a time: what follows the first page counts, too.
        at = int(more or 0)
        self.selectors.append(field_selector)
        items = [{key: value for key, value in item.items() if key != "kind"} for item in self.runs[at : at + 1]]
        return Page(items=items, resource_version="1", more=str(at + 1) if at + 1 < len(self.runs) else "")

    async def watch(self, *_: object, field_selector: str | None = None, **__: object) -> AsyncGenerator[Object, None]:
        self.selectors.append(field_selector)
        if not self.script:
            raise AssertionError("asked once too often")
        for said in self.script.pop(0):
            if isinstance(said, BaseException):
                raise said
            yield said


def modified(item: Object) -> Object:
    return {"type": "MODIFIED", "object": item}


def serve(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    def no_connection(**_: Any) -> None:  # noqa: ANN401 - its settings
        return None

    def client(_: object) -> Server:
        return server

    monkeypatch.setattr(Connection, "load", no_connection)
    monkeypatch.setattr(client_module, "ApiClient", client)
    monkeypatch.setattr(canary_watch, "AGAIN_SECONDS", 0)


WANTED = Wanted(namespace="payments", release="churn-2-1-0")


async def followed(server: Server, wanted: Wanted = WANTED, troubles: list[str] | None = None) -> AsyncIterator[Object]:
    async for change in follow(server, wanted, (troubles if troubles is not None else []).append):
        yield change


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("which", EVERY)
def test_no_line_is_wider_than_the_terminal(which: str, width: int) -> None:
    lines = drawn(EVERY[which], width).splitlines()
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("width", [80, 200])
def test_everything_that_decides_is_seen(width: int) -> None:
    shown = drawn(ROLLED_BACK, width)
    for text in ("churn-2-1-0 against churn-2-0-0", "region=DACH", "−7", "enough", "✓ leaks 0 hits", "✗ Rolled back after 312 of 3,000 cases"):
        assert text in shown
    told = " ".join(shown.split())
    assert "accuracy on region=DACH is 4 to 11 points worse than the baseline; at most 2 are allowed." in told


def test_who_did_not_answer_and_why_is_seen() -> None:
    told = " ".join(drawn(SILENT, 80).split())
    assert "! no answer of the candidate to 10 of 10 questions; the first: POST /v1/completions: answered 404: �<b>no such model" in told


def test_figures_of_the_evidence_stand_where_there_is_room() -> None:
    assert "61 of 40" in drawn(ROLLED_BACK, 200)
    assert "61 of 40" not in drawn(ROLLED_BACK, 80)


def test_what_is_left_is_told_from_the_pace_so_far() -> None:
    # 312 cases in 60 s: 2,688 more take 517 s.
    assert "312 of 3,000 cases, at most 8 min 37 s more, 1 min so far" in drawn(PENDING, 120)
    assert "~860" in drawn(PENDING, 120)
    assert "more" not in drawn(NOTHING, 120).replace("not looked at it yet", "")


def test_a_promotion_that_waits_for_its_time_says_until_when() -> None:
    shown = drawn(WAITING, 120)
    assert "at most 14 min more" in shown
    assert "Found good enough after 312 of 3,000 cases, and not promoted yet: it is promoted at 07:15" in shown


def test_a_name_neither_clears_the_screen_nor_turns_the_text() -> None:
    shown = drawn(HOSTILE_RUN, 200)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "<script>" in shown


def test_an_interval_is_drawn_between_its_bounds_beside_the_margin() -> None:
    (accuracy,) = read_run(PENDING).metrics
    # From −4.1 to +1.7, −1.2 in the middle, on a scale from −5 to +5 with a cell for each half point.
    assert interval_bar(accuracy, reach=0.05, cells=21) == "··━━━━┃━●━┊━━━·······"
    assert reach_of([accuracy]) == 0.05


def test_what_is_beyond_the_scale_ends_in_arrows() -> None:
    (wide,) = read_run(run(metrics=[OPEN | {"interval": ["-0.9", "0.9"]}])).metrics
    assert interval_bar(wide, reach=0.05, cells=11) == "◂━━┃●┊━━━━▸"


def test_the_race_ends_where_the_evidence_decides_and_not_before() -> None:
    assert race_bar(0.3, 20, 8) == "░░░░░░░░"
    assert race_bar(4.47, 20, 8) == "████░░░░"
    assert race_bar(19.9, 20, 8) == "███████░"
    assert race_bar(20, 20, 8) == "████████"


def test_metrics_share_the_rate_of_false_rollbacks_so_each_needs_more_evidence() -> None:
    found = read_run(ROLLED_BACK).metrics
    assert {metric.roll_back_at for metric in found} == {40.0}
    assert {metric.promote_at for metric in found} == {20.0}


def test_what_is_no_run_is_refused_with_the_field_that_is_wrong() -> None:
    with pytest.raises(Unreadable, match="this is no CanaryRun"):
        read_run({"kind": "Pod"})
    broken = run()
    broken["spec"]["seed"] = "seven"
    with pytest.raises(Unreadable, match="seed"):
        read_run(broken)


def test_the_run_that_is_not_decided_is_meant_before_newer_ones_that_are() -> None:
    old = run("a", created="2026-11-21T06:00:00Z", decision="Pending")
    new = run("b", created="2026-11-21T07:00:00Z", decision="Promote")
    other = run("c", release="other", created="2026-11-21T08:00:00Z")
    assert choose([old, new, other], WANTED) is old
    assert choose([new, other], WANTED) is new
    assert choose([old, new, other], Wanted(namespace="payments", run="b")) is new
    assert choose([old, new, other], Wanted(namespace="payments")) is other
    assert choose([other], WANTED) is None


async def test_each_change_of_the_status_is_told_once_and_by_name_after_the_first() -> None:
    same = PENDING | {"metadata": PENDING["metadata"] | {"resourceVersion": "9"}}
    server = Server([PENDING], [[modified(same), {"type": "BOOKMARK", "object": {}}, modified(ROLLED_BACK)]])
    changes = followed(server)
    assert [(await anext(changes))["status"]["phase"], (await anext(changes))["status"]["phase"]] == ["Scoring", "Decided"]
    assert server.selectors == [None, "metadata.name=churn-2-1-0-canary-1"]


async def test_a_server_that_does_not_answer_is_asked_again_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary_watch, "AGAIN_SECONDS", 0)
    troubles: list[str] = []
    server = Server([PENDING], [[Unavailable(0, "NoAnswer", "connection lost")], [Gone(410, "Expired", "too old")], [modified(PROMOTED)]])
    changes = followed(server, troubles=troubles)
    assert [(await anext(changes))["status"]["phase"], (await anext(changes))["status"]["phase"]] == ["Scoring", "Decided"]
    assert any("connection lost" in told and told.endswith("; asking again") for told in troubles)
    assert troubles[-1] == ""


async def test_a_newer_run_does_not_take_the_place_of_the_one_that_is_followed() -> None:
    server = Server([PENDING], [[Gone(410, "Expired", "too old")], [modified(PROMOTED)]])
    changes = followed(server)
    await anext(changes)
    server.runs.append(run(name="newer", created="2026-11-21T09:00:00Z", decision="Pending", phase="Starting"))
    assert (await anext(changes))["status"]["phase"] == "Decided"
    assert server.selectors[-2:] == ["metadata.name=churn-2-1-0-canary-1"] * 2


async def test_a_run_that_is_deleted_ends_the_watch() -> None:
    changes = followed(Server([PENDING], [[{"type": "DELETED", "object": PENDING}]]))
    await anext(changes)
    with pytest.raises(Unknown, match="was deleted"):
        await anext(changes)


@pytest.mark.parametrize(("last", "code"), [(PROMOTED, 0), (ROLLED_BACK, 1), (INCONCLUSIVE, 3)])
def test_it_ends_with_the_code_of_the_decision(monkeypatch: pytest.MonkeyPatch, last: Object, code: int) -> None:
    serve(monkeypatch, Server([PENDING], [[modified(last)]]))
    result = CliRunner().invoke(watch, ["mr/churn-2-1-0", "-n", "payments"])
    assert result.exit_code == code
    # A line for each change, the view at the end, and nothing that moves a cursor.
    assert "Scoring  312 of 3,000 cases  accuracy −1.2 [−4.1, +1.7] points" in result.output
    assert "against churn-2-0-0" in result.output
    assert "\x1b" not in result.output


def test_on_a_terminal_it_is_drawn_in_place_and_what_is_left_is_the_last_view(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, Server([PENDING], [[modified(ROLLED_BACK)]]))
    result = CliRunner().invoke(watch, ["-n", "payments"], env={"TTY_COMPATIBLE": "1", "COLUMNS": "100", "NO_COLOR": "1", "TERM": "xterm"})
    assert result.exit_code == 1
    assert "\x1b[?25l" in result.output
    assert "Scoring  312 of" not in result.output
    last = result.output[result.output.rindex(" against ") :]
    assert "✗ Rolled back after 312 of 3,000 cases" in last


def test_a_pipe_is_told_beside_its_lines_that_the_server_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = Unavailable(0, "NoAnswer", "connection lost")
    serve(monkeypatch, Server([PENDING], [[lost], [lost], [modified(PROMOTED)]]))
    result = CliRunner().invoke(watch, ["-n", "payments"])
    assert (result.exit_code, result.stderr.count("connection lost")) == (0, 2)
    assert "connection lost" not in result.stdout


def test_an_interrupt_is_no_rollback(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, Server([PENDING], [[KeyboardInterrupt()]]))
    assert CliRunner().invoke(watch, ["-n", "payments"]).exit_code == 130


def test_json_is_one_line_for_each_change(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, Server([NOTHING], [[modified(PENDING), modified(ROLLED_BACK)]]))
    result = CliRunner().invoke(watch, ["-n", "payments", "-o", "json"])
    told = [json.loads(line) for line in result.output.splitlines()]
    assert [item["decision"] for item in told] == ["Pending", "Pending", "RollBack"]
    assert told[-1]["metrics"][0]["interval"] == [-0.11, -0.04]
    assert result.exit_code == 1


def test_yaml_is_one_document_for_each_change(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, Server([NOTHING], [[modified(PENDING), modified(ROLLED_BACK)]]))
    result = CliRunner().invoke(watch, ["-n", "payments", "-o", "yaml"])
    assert [item["decision"] for item in yaml.safe_load_all(result.output)] == ["Pending", "Pending", "RollBack"]


def test_once_does_not_wait_for_a_server_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, Server([], refusal=Unavailable(0, "NoAnswer", "connection refused")))
    result = CliRunner().invoke(watch, ["-n", "payments", "--once"])
    assert result.exit_code == 3
    assert "connection refused" in result.output
    assert "asking again" not in result.output


def test_once_tells_how_it_stands_and_that_nothing_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, Server([PENDING]))
    assert CliRunner().invoke(watch, ["mcr/churn-2-1-0-canary-1", "-n", "payments", "--once"]).exit_code == 3


@pytest.mark.parametrize(
    ("arguments", "server", "complaint"),
    [
        (["mr/other"], Server([PENDING]), "there is no canary run of mr/other in namespace payments"),
        (["churn"], Server([]), "there is no mcr/churn in namespace payments"),
        (["churn"], Server([], refusal=Forbidden(403, "Forbidden", "canaryruns is forbidden")), "canaryruns is forbidden"),
    ],
)
def test_what_cannot_be_told_ends_with_3_and_never_as_a_rollback(monkeypatch: pytest.MonkeyPatch, arguments: list[str], server: Server, complaint: str) -> None:
    serve(monkeypatch, server)
    result = CliRunner().invoke(watch, [*arguments, "-n", "payments"])
    assert result.exit_code == 3
    assert complaint in result.output


def test_another_kind_is_refused() -> None:
    result = CliRunner().invoke(watch, ["pod/churn", "-n", "payments"])
    assert (result.exit_code, "name a ModelRelease: mr/NAME" in result.output) == (2, True)


def test_the_scale_holds_every_margin_twice_and_every_estimate() -> None:
    fine, other, bad = read_run(run(metrics=[FINE, OPEN | {"name": "refusal"}, SLICE])).metrics
    assert reach_of([fine, other]) == 0.05
    assert reach_of([fine, other, bad]) == 0.1


def test_a_pipe_is_told_the_stage_of_a_live_share(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, Server([EXPOSING], []))
    result = CliRunner().invoke(watch, ["-n", "payments", "--once"])
    assert result.output.endswith("  stage 1 of 2, at most 5.00% for 600 s: one Pod among 20 of Service churn\n")
