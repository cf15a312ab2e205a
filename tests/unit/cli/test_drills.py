"""`sluice drill`: what it makes, what it tells meanwhile, and how it ends."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Any, Self

import pytest
import yaml
from click.testing import CliRunner

from sluice.api.drill import DrillSpec
from sluice.cli import drills as module
from sluice.cli.access import Unknown
from sluice.cli.drills import drill, follow, lines, manifest, until_over
from sluice.cluster import client as client_module
from sluice.cluster.client import ApiClient
from sluice.cluster.connection import Connection
from sluice.cluster.errors import Forbidden, NotFound, Unavailable
from sluice.cluster.resource import Resource
from sluice.rollout.drill_objects import name_problem

Object = dict[str, Any]
PASSED: Object = {
    "phase": "Passed", "reason": "WayBackWorks", "message": "it works", "measured": {"restoreSeconds": "4.200", "outSeconds": "0.310", "backSeconds": "0.290"},
    "evidence": {"name": "churn-2-abc-12345678", "bundleDigest": "sha256:" + "a" * 64},
}  # fmt: skip
FAILED: Object = {"phase": "Failed", "reason": "TemplateGone", "message": "no template"}
STARTING: Object = {"phase": "Starting", "reason": "Starting", "message": "its Pods are made"}


def with_status(status: Object | None) -> Object:
    metadata = {"namespace": "payments", "name": "churn-2-abc", "resourceVersion": "1"}
    return {"metadata": metadata} | ({"status": status} if status else {})


class Server(ApiClient):
    """Makes drills, and says what `script` has: statuses, or an error."""

    def __init__(self, *script: Object | BaseException, no_release: BaseException | None = None) -> None:
        super().__init__(Connection.__new__(Connection))
        self.no_release = no_release
        self.script = list(script)
        self.made: list[Object] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    async def create(self, resource: Resource, obj: Object, namespace: str | None = None) -> Object:  # noqa: ARG002 - the client's signature
        if isinstance(self.script[0], Forbidden):
            raise self.script[0]
        self.made.append(obj)
        return with_status(None)

    async def get(self, path: str) -> Object:
        if path.endswith("/namespaces/payments/modelreleases/churn-2"):
            if self.no_release:
                raise self.no_release
            return {}
        assert path.endswith("/namespaces/payments/releasedrills/churn-2-abc")
        said = self.script.pop(0)
        if isinstance(said, BaseException):
            raise said
        return with_status(said)

    async def watch(self, *_: object, **__: object) -> AsyncGenerator[Object, None]:
        while self.script and isinstance(self.script[0], dict):
            said = self.script.pop(0)
            assert isinstance(said, dict)
            yield {"type": "MODIFIED", "object": with_status(said)}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def runs(server: Server, *words: str) -> Any:  # noqa: ANN401 - a Result of click
        monkeypatch.setattr(client_module, "ApiClient", lambda _: server)
        monkeypatch.setattr(Connection, "load", lambda **_: Connection.__new__(Connection))
        monkeypatch.setattr(module, "AGAIN_SECONDS", 0.0)
        return CliRunner().invoke(drill, ["mr/churn-2", "-n", "payments", *words])

    return runs


def test_it_follows_a_drill_until_it_passed_and_shows_what_was_measured(run: Callable[..., Any]) -> None:
    server = Server(STARTING, PASSED)
    done = run(server)
    assert done.exit_code == 0, done.output
    assert "baseline in traffic after 4.200 s" in done.output
    assert "evidence: mre/churn-2-abc-12345678" in done.output
    assert server.made[0]["spec"] == {"release": {"name": "churn-2"}}


def test_a_drill_that_failed_ends_with_1_and_says_why(run: Callable[..., Any]) -> None:
    done = run(Server(STARTING, FAILED), "--deployment", "churn")
    assert done.exit_code == 1
    assert "no template (TemplateGone)" in done.output


def test_as_json_each_change_is_a_line(run: Callable[..., Any]) -> None:
    done = run(Server(STARTING, PASSED), "-o", "json")
    assert [json.loads(line).get("phase") for line in done.output.splitlines()] == [None, "Starting", "Passed"]


def test_without_waiting_it_ends_once_it_is_made(run: Callable[..., Any]) -> None:
    done = run(Server(STARTING), "--no-wait")
    assert (done.exit_code, done.output.split()[1:]) == (0, ["mrd/churn-2-abc", "made"])


def test_a_dry_run_makes_nothing(run: Callable[..., Any]) -> None:
    server = Server()
    done = run(server, "--dry-run", "--deployment", "churn")
    assert (done.exit_code, server.made) == (0, [])
    DrillSpec.model_validate(yaml.safe_load(done.output)["spec"])


def test_a_server_that_does_not_answer_is_asked_again(run: Callable[..., Any]) -> None:
    done = run(Server(STARTING, Unavailable(0, "NoAnswer", "gone for a moment"), PASSED))
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(("error", "code"), [(Forbidden(403, "Forbidden", "you may not"), 1), (NotFound(404, "NotFound", "gone"), 3)])
def test_what_asking_again_does_not_mend_ends_it(run: Callable[..., Any], error: BaseException, code: int) -> None:
    assert run(Server(error)).exit_code == code


def test_a_release_that_is_not_there_is_told_at_once_and_nothing_is_made(run: Callable[..., Any]) -> None:
    server = Server(no_release=NotFound(404, "NotFound", "not found"))
    done = run(server)
    assert (done.exit_code, server.made) == (1, [])
    assert "mr/churn-2 is not in namespace payments" in done.output


def test_who_may_not_look_at_the_release_may_try_the_way_back(run: Callable[..., Any]) -> None:
    assert run(Server(PASSED, no_release=Forbidden(403, "Forbidden", "you may not"))).exit_code == 0


async def test_a_drill_of_which_nothing_is_heard_any_more_cannot_be_told() -> None:
    async def silent() -> AsyncGenerator[Object, None]:
        yield with_status(STARTING)

    with pytest.raises(Unknown):
        await until_over(silent(), lambda _: None)


async def test_a_status_that_did_not_change_is_told_once() -> None:
    server = Server(STARTING, STARTING, PASSED)
    told = [item["status"]["phase"] async for item in _until_passed(server)]
    assert told == ["Starting", "Passed"]


async def _until_passed(server: Server) -> AsyncGenerator[Object, None]:
    async for item in follow(server, with_status(None), lambda _: None):
        yield item
        if item["status"]["phase"] == "Passed":
            return


@pytest.mark.parametrize("release", ["churn-2-1-0", "2024.1.3", "a" * 200])
def test_the_name_that_the_api_server_completes_is_one_that_a_drill_can_have(release: str) -> None:
    assert manifest(release, "payments", None, scratch=True)["spec"] == {"release": {"name": release}, "place": "ScratchNamespace"}
    assert name_problem(manifest(release, "payments", None)["metadata"]["generateName"] + "x7k2p") == ""


def test_a_line_says_how_it_stands() -> None:
    (line,) = lines(with_status(STARTING))
    assert line.split(maxsplit=1)[1] == "Starting     its Pods are made"
