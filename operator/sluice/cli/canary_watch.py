"""`sluice canary watch`: a comparison while it runs, until it is decided.

It reads the CanaryRun and nothing else: who may read runs may watch. What it shows is what the controller wrote, every few seconds.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import yaml

from sluice.cli.access import Access, Unknown, cluster_options, connected, release_name
from sluice.cli.scoring import EXIT_CODES

if TYPE_CHECKING:
    from rich.console import Console

    from sluice.api.canary import CanaryDecision
    from sluice.cli.report.numbers import Comparison
    from sluice.cluster.client import ApiClient

INTERRUPTED: Final = 130
"""As a shell tells of a process that was interrupted: 1 would say that it was rolled back."""
AGAIN_SECONDS: Final = 2.0
"""How long to wait when the API server does not answer."""
_WATCH_SECONDS: Final = 300.0
_SILENCE_SECONDS: Final = 330.0
"""Longer than a watch lasts: a run that waits for its Pods changes nothing for minutes."""
_RUNS: Final = {"mcr", "canaryrun", "canaryruns", "canaryrun.sluice.dev"}

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which run: by its name, the newest of a release, or, without either, the newest of the namespace."""

    namespace: str
    run: str | None = None
    release: str | None = None

    def __str__(self) -> str:
        what = f"mcr/{self.run}" if self.run else f"canary run of mr/{self.release}" if self.release else "canary run"
        return f"{what} in namespace {self.namespace}"


def wanted_of(text: str | None, namespace: str) -> Wanted:
    """Read `RUN`, `mcr/RUN` and `mr/RELEASE`. Raises click.BadParameter for another kind."""
    if text is None:
        return Wanted(namespace=namespace)
    kind, slash, name = text.rpartition("/")
    if not slash or kind.lower() in _RUNS:
        return Wanted(namespace=namespace, run=name)
    return Wanted(namespace=namespace, release=release_name(click.get_current_context(), click.Argument(["run"]), text))


def choose(runs: list[Object], wanted: Wanted) -> Object | None:
    """Choose the run that is meant: one that is not decided before one that is, then the newest."""
    asked = [run for run in runs if wanted.release in {None, ((run.get("spec") or {}).get("release") or {}).get("name")}]
    if wanted.run:
        return next((run for run in runs if run["metadata"]["name"] == wanted.run), None)

    def order(run: Object) -> tuple[bool, str, str]:
        decision = (run.get("status") or {}).get("decision", "Pending")
        return (decision == "Pending", str(run["metadata"].get("creationTimestamp")), run["metadata"]["name"])

    return max(asked, key=order, default=None)


@click.command()
@click.argument("run", required=False, metavar="[RUN | mr/RELEASE]")
@click.option("-n", "--namespace", required=True, help="Namespace of the run.")
@click.option("--once", is_flag=True, help="Show how it stands, and end.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml"]),
    default="table",
    show_default=True,
    help="json: one line for each change; yaml: one document.",
)
@cluster_options
def watch(*, run: str | None, namespace: str, once: bool, output: str, context: str | None, kubeconfig: Path | None) -> None:
    """Follow a comparison until it is decided: RUN, the newest of mr/RELEASE, or the newest of the namespace.

    Ends with 0 for promote, 1 for roll back, 3 for inconclusive or when it cannot be told, 130 when interrupted. With --once, 3 also means: not decided yet.
    """
    wanted = wanted_of(run, namespace)
    try:
        decision = asyncio.run(_watch(Access(kubeconfig=kubeconfig, context=context), wanted, once=once, output=output))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(EXIT_CODES[decision])


async def _watch(access: Access, wanted: Wanted, *, once: bool, output: str) -> CanaryDecision:
    shown = _Shown(output)
    async with _client(access, wanted) as client:
        with shown:
            return await show(follow(client, wanted, shown.trouble, patient=not once), shown.tell, once=once)


async def read_once(access: Access, wanted: Wanted) -> tuple[Object, bytes | None]:
    """Read the run that is meant, and what it keeps of its scorers, if that is still there. Raises Unknown."""
    async with _client(access, wanted) as client:
        run = await anext(follow(client, wanted, lambda told: click.echo(told, err=True) if told else None, patient=False))
        return run, await _kept(client, run)


async def _kept(client: ApiClient, run: Object) -> bytes | None:
    """Read the ConfigMap that the status of a run names. Who may read runs, and no ConfigMaps, gets a report without paths."""
    from sluice.cluster.errors import Forbidden, NotFound  # noqa: PLC0415 - see the package
    from sluice.cluster.resource import CONFIG_MAPS  # noqa: PLC0415
    from sluice.rollout.kept_statistics import STATISTICS_KEY  # noqa: PLC0415

    told = (run.get("status") or {}).get("statistics")
    if told is None:
        return None
    try:
        there = await client.get(CONFIG_MAPS.path(run["metadata"]["namespace"], told["configMap"]))
    except (NotFound, Forbidden) as error:
        click.echo(f"without paths and spreads, because its statistics cannot be read: {error}", err=True)
        return None
    return base64.b64decode((there.get("binaryData") or {}).get(STATISTICS_KEY, ""))


@asynccontextmanager
async def _client(access: Access, wanted: Wanted) -> AsyncIterator[ApiClient]:
    from sluice.cluster.errors import ApiError  # noqa: PLC0415 - see the package

    try:
        async with connected(access) as client:
            yield client
    except ApiError as error:
        # 1 would say that it was rolled back.
        raise Unknown(f"{wanted}: {error}") from error


async def show(changes: AsyncIterator[Object], tell: Callable[[Comparison], None], *, once: bool) -> CanaryDecision:
    """Tell each change, up to the first one that is decided, or the first one at all; return how it stands then. Raises Unknown when there is none."""
    from sluice.cli.report.numbers import Unreadable, read_run  # noqa: PLC0415 - see the package

    async for run in changes:
        try:
            comparison = read_run(run)
        except Unreadable as error:
            raise Unknown(str(error)) from None
        tell(comparison)
        if once or comparison.is_decided:
            return comparison.decision
    raise Unknown("nothing more is heard of the run")


async def follow(client: ApiClient, wanted: Wanted, trouble: Callable[[str], None], *, patient: bool = True) -> AsyncIterator[Object]:
    """Yield the run, and again after each change of its status.

    When `patient`, a server that does not answer is asked again, without end; `trouble` is told why, and "" when it answers again. Raises Unknown when there
    is no such run, or when it is deleted, and ApiError for what asking again does not mend.
    """
    from sluice.cluster.errors import Gone, Unavailable  # noqa: PLC0415 - see the package
    from sluice.cluster.resource import CANARY_RUNS  # noqa: PLC0415

    chosen: str | None = None
    told: object = None
    while True:
        try:
            selector = None if wanted.run is None else f"metadata.name={wanted.run}"
            runs, version = await _listed(client, wanted.namespace, selector)
            run = choose(runs, wanted)
            if run is None:
                raise Unknown(f"there is no {wanted}; {'it was deleted' if chosen else 'kubectl get mcr,mr -n ' + wanted.namespace + ' shows what there is'}")
            # From here on it is this one, whatever newer ones there are.
            chosen, wanted = run["metadata"]["name"], Wanted(namespace=wanted.namespace, run=run["metadata"]["name"])
            trouble("")
            if run.get("status") != told or told is None:
                told = run.get("status") or {}
                yield run
            events = client.watch(
                CANARY_RUNS, wanted.namespace, resource_version=version, seconds=_WATCH_SECONDS, silence_seconds=_SILENCE_SECONDS,
                field_selector=f"metadata.name={chosen}",
            )  # fmt: skip
            async for event in events:
                if event["type"] == "DELETED":
                    raise Unknown(f"mcr/{chosen} was deleted")
                if event["type"] in {"ADDED", "MODIFIED"} and event["object"].get("status") != told:
                    told = event["object"].get("status") or {}
                    yield event["object"]
        except Gone:
            continue
        except Unavailable as error:
            if not patient:
                raise
            trouble(f"{error}; asking again")
            await asyncio.sleep(AGAIN_SECONDS)


async def _listed(client: ApiClient, namespace: str, selector: str | None) -> tuple[list[Object], str]:
    from sluice.cluster.client import check_count  # noqa: PLC0415 - see the package
    from sluice.cluster.resource import CANARY_RUNS  # noqa: PLC0415

    runs: list[Object] = []
    more = ""
    while True:
        page = await client.list_page(CANARY_RUNS, namespace, field_selector=selector, more=more)
        runs += page.items
        check_count(CANARY_RUNS, len(runs))
        if not page.more:
            # Items of a list have no kind of their own.
            return [{**run, "kind": CANARY_RUNS.kind} for run in runs], page.resource_version
        more = page.more


class _Shown:
    """Where changes are shown: a live view on a terminal, lines elsewhere, data when they were asked for."""

    def __init__(self, output: str) -> None:
        from rich.console import Console  # noqa: PLC0415 - see the package

        self._output = output
        self._console: Console = Console(highlight=False, markup=False, emoji=False)
        self._live: AbstractContextManager[Any] = nullcontext()
        self._latest: Comparison | None = None
        self._trouble = ""

    def __enter__(self) -> None:
        from rich.live import Live  # noqa: PLC0415 - see the package

        if self._console.is_terminal and self._output == "table":
            # Once a second, so that the time that is left goes on while nothing changes.
            self._live = Live(console=self._console, get_renderable=self._view, refresh_per_second=1)
        self._live.__enter__()

    def __exit__(self, *error: object) -> None:
        self._live.__exit__(None, None, None)

    def trouble(self, told: str) -> None:
        """Say why nothing new is heard; "" when it is."""
        if told and told != self._trouble and (self._output != "table" or not self._console.is_terminal):
            click.echo(told, err=True)
        self._trouble = told

    def tell(self, comparison: Comparison) -> None:
        """Show a change."""
        from sluice.cli.report.as_json import numbers  # noqa: PLC0415 - see the package
        from sluice.cli.report.terminal import line  # noqa: PLC0415

        self._latest = comparison
        if self._output == "json":
            click.echo(json.dumps(numbers(comparison), separators=(",", ":")))
        elif self._output == "yaml":
            click.echo(yaml.safe_dump(numbers(comparison), sort_keys=False, allow_unicode=True, explicit_start=True), nl=False)
        elif not self._console.is_terminal:
            click.echo(f"{datetime.now(UTC):%H:%M:%S}  {line(comparison)}")
            if comparison.is_decided:
                self._console.print(self._view())

    def _view(self) -> Any:  # noqa: ANN401 - anything that rich draws
        from sluice.cli.report.terminal import view  # noqa: PLC0415 - see the package

        if self._latest is None:
            return self._trouble or "…"
        return view(self._latest, now=datetime.now(UTC), width=self._console.width, trouble=self._trouble)
