"""`sluice drill`: try the way back from a release before anybody needs it, and watch how long it takes.

It makes a `ReleaseDrill` and follows it. What is done, the controller does: whoever may create drills in the namespace may start one.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import yaml

from sluice.api.names import API_VERSION
from sluice.cli.access import Access, Refused, Unknown, cluster_options, connected, release_name
from sluice.cli.answers import as_text

if TYPE_CHECKING:
    from sluice.cluster.client import ApiClient

EXIT_CODES: Final = {"Passed": 0, "Failed": 1}
INTERRUPTED: Final = 130
AGAIN_SECONDS: Final = 2.0
_WATCH_SECONDS: Final = 60.0
_SILENCE_SECONDS: Final = 90.0
_STEPS: Final = (("restoreSeconds", "baseline in traffic after"), ("outSeconds", "release out of traffic after"), ("backSeconds", "release back after"))

Object = dict[str, Any]


@click.command()
@click.argument("release", callback=release_name)
@click.option("-n", "--namespace", required=True, help="Namespace of the release.")
@click.option("--deployment", help="Deployment whose templates are used.  [default: the first whose template names the release]")
@click.option("--scratch", is_flag=True, help="In the scratch namespace that the platform team has prepared.  [default: in the namespace of the release]")
@click.option("--no-wait", is_flag=True, help="Start it, and do not follow it.")
@click.option("--dry-run", is_flag=True, help="Show what would be created, and create nothing.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True, help="json: one line for each change.")
@cluster_options
def drill(
    *,
    release: str,
    namespace: str,
    deployment: str | None,
    scratch: bool,
    no_wait: bool,
    dry_run: bool,
    output: str,
    context: str | None,
    kubeconfig: Path | None,
) -> None:
    """Try the way back from RELEASE (mr/NAME) to its baseline, out of users' way, and follow it until it has passed or failed.

    \b
      sluice drill mr/churn-2-1-0 -n payments
      sluice drill mr/churn-2-1-0 -n payments --deployment churn --no-wait
      sluice drill mr/churn-2-1-0 -n payments --scratch

    Ends with 0 when it passed, 1 when it failed, 3 when it cannot be told, 130 when interrupted (the drill goes on).
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    wanted = manifest(release, namespace, deployment, scratch=scratch)
    if dry_run:
        click.echo(as_text(wanted, output))
        return
    try:
        phase = asyncio.run(_drill(Access(kubeconfig=kubeconfig, context=context), wanted, Shown(output), wait=not no_wait))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(EXIT_CODES.get(phase, 0 if no_wait else 3))


def manifest(release: str, namespace: str, deployment: str | None, *, scratch: bool = False) -> Object:
    """Return the ReleaseDrill; the API server completes its name."""
    from sluice.rollout.canary_pods import run_name  # noqa: PLC0415 - see the package

    spec: Object = {"release": {"name": release}} | ({"deployment": {"name": deployment}} if deployment else {})
    spec |= {"place": "ScratchNamespace"} if scratch else {}
    stem = run_name(release, 0).rpartition("-")[0]
    metadata = {"generateName": f"{stem}-" if stem[:1].isalpha() else f"drill-{stem}-", "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": "ReleaseDrill", "metadata": metadata, "spec": spec}


async def _drill(access: Access, wanted: Object, shown: Shown, *, wait: bool) -> str:
    from sluice.cluster.errors import ApiError, Forbidden, NotFound, Unavailable  # noqa: PLC0415 - see the package
    from sluice.cluster.resource import DRILLS, RELEASES  # noqa: PLC0415

    release, namespace = wanted["spec"]["release"]["name"], wanted["metadata"]["namespace"]
    try:
        async with connected(access) as client:
            try:
                await client.get(RELEASES.path(namespace, release))
            except NotFound:
                # Made all the same it would wait for the release, and nobody would know why.
                raise Refused(f"mr/{release} is not in namespace {namespace}: kubectl get mr -n {namespace}") from None
            except Forbidden:
                pass  # Who may try the way back need not be allowed to look.
            made = await client.create(DRILLS, wanted, namespace)
            shown.tell(made)
            return await until_over(follow(client, made, shown.trouble), shown.tell) if wait else ""
    except Unavailable as error:
        raise Unknown(f"the API server cannot be reached: {error}") from error
    except ApiError as error:
        raise Refused(f"the drill: {error}") from error


async def until_over(changes: AsyncIterator[Object], tell: Callable[[Object], None]) -> str:
    """Tell each change, up to the one that ends the drill; return its phase. Raises Unknown when nothing more is heard."""
    async for drill_ in changes:
        tell(drill_)
        phase = str((drill_.get("status") or {}).get("phase") or "")
        if phase in EXIT_CODES:
            return phase
    raise Unknown("nothing more is heard of the drill")


async def follow(client: ApiClient, made: Object, trouble: Callable[[str], None]) -> AsyncIterator[Object]:
    """Yield the drill after each change of its status.

    A server that does not answer is asked again, without end; `trouble` is told why. Raises Unknown when the drill is deleted, and ApiError for what asking
    again does not mend.
    """
    from sluice.cluster.errors import Gone, NotFound, Unavailable  # noqa: PLC0415 - see the package
    from sluice.cluster.resource import DRILLS  # noqa: PLC0415

    namespace, name = made["metadata"]["namespace"], made["metadata"]["name"]
    told: object = made.get("status")
    while True:
        try:
            seen = await client.get(DRILLS.path(namespace, name))
            if seen.get("status") != told:
                told = seen.get("status")
                yield seen
            events = client.watch(
                DRILLS, namespace, resource_version=seen["metadata"]["resourceVersion"], seconds=_WATCH_SECONDS, silence_seconds=_SILENCE_SECONDS,
                field_selector=f"metadata.name={name}",
            )  # fmt: skip
            async for event in events:
                if event["type"] == "DELETED":
                    raise Unknown(f"mrd/{name} was deleted")
                if event["type"] in {"ADDED", "MODIFIED"} and event["object"].get("status") != told:
                    told = event["object"].get("status")
                    yield event["object"]
        except Gone:
            continue
        except NotFound:
            raise Unknown(f"mrd/{name} was deleted") from None
        except Unavailable as error:
            trouble(f"{error}; asking again")
            await asyncio.sleep(AGAIN_SECONDS)


class Shown:
    """Where changes are shown: a line each, and what was measured at the end; JSON or YAML when it was asked for."""

    def __init__(self, output: str) -> None:
        self._output = output

    def trouble(self, told: str) -> None:
        """Say why nothing new is heard."""
        click.echo(told, err=True)

    def tell(self, drill_: Object) -> None:
        """Show a change."""
        status = drill_.get("status") or {}
        if self._output == "json":
            click.echo(json.dumps({"name": drill_["metadata"]["name"], **status}, separators=(",", ":")))
        elif self._output == "yaml":
            click.echo("---\n" + yaml.safe_dump({"name": drill_["metadata"]["name"], **status}, sort_keys=False).rstrip())
        else:
            for line in lines(drill_):
                click.echo(line)


def lines(drill_: Object) -> list[str]:
    """Say how a drill stands: one line while it runs, a few at its end."""
    status = drill_.get("status") or {}
    phase = status.get("phase")
    now = f"{datetime.now(UTC):%H:%M:%S}"
    if phase is None:
        return [f"{now}  mrd/{drill_['metadata']['name']} made"]
    head = f"{now}  {phase:<12} {status.get('message', '')}"
    if phase not in EXIT_CODES:
        return [head]
    measured = status.get("measured") or {}
    told = [f"          {words} {measured[field]} s" for field, words in _STEPS if field in measured]
    evidence = (status.get("evidence") or {}).get("name")
    return [head if phase == "Passed" else f"{head} ({status.get('reason')})", *told, *([f"          evidence: mre/{evidence}"] if evidence else [])]
