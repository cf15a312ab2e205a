"""`sluice approve` and `sluice reject`: a person decides about exactly what they were shown.

The release is read once; what is shown and what is signed off are the same digests. Who decides is not sent: the API server stamps it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import yaml
from rich.console import Console
from rich.table import Table

from sluice.api.approval import ApprovalDecision
from sluice.api.names import API_VERSION

_COLOURS = {"Satisfied": "green", "Waived": "yellow", "Missing": "yellow", "Expired": "yellow", "Failed": "red"}
_KINDS = {"mr", "modelrelease", "modelreleases", "modelrelease.sluice.dev"}
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach the cluster."""

    kubeconfig: Path | None
    context: str | None


def release_name(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Accept `mr/NAME`, `modelrelease/NAME` and `NAME`."""
    kind, slash, name = value.rpartition("/")
    if slash and kind.lower() not in _KINDS:
        message = f"{value!r} is a {kind}; name a ModelRelease: mr/NAME"
        raise click.BadParameter(message)
    return name


def _options(command: F) -> F:
    for option in (
        click.option("--kubeconfig", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Path of the kubeconfig file."),
        click.option("--context", help="Context in the kubeconfig."),
        click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True, help="How to print the result."),
        click.option("--dry-run", is_flag=True, help="Show what would be created, and create nothing."),
        click.option("-y", "--yes", is_flag=True, help="Do not ask."),
        click.option("--expires", metavar="TIME", help="When the decision ends, e.g. 2026-12-20T00:00:00Z."),
        click.option("--comment", help="Why."),
        click.option("--role", required=True, help="The role in which you decide; a ReleasePolicy lists who holds it."),
        click.option("-n", "--namespace", required=True, help="Namespace of the release."),
        click.argument("release", callback=release_name),
    ):
        command = option(command)
    return command


@click.command()
@_options
def approve(**arguments: Any) -> None:  # noqa: ANN401 - click's options
    """Approve RELEASE (mr/NAME) on exactly the evidence it has now.

    Shows what is signed off (the release, its evidence, every requirement) and asks. The approval names both digests and dies when either changes.
    """
    _decide(ApprovalDecision.APPROVE, **arguments)


@click.command()
@_options
def reject(**arguments: Any) -> None:  # noqa: ANN401 - click's options
    """Reject RELEASE (mr/NAME). It stays rejected, whatever is approved, until the rejection is deleted or ends."""
    _decide(ApprovalDecision.REJECT, **arguments)


def _decide(
    decision: ApprovalDecision,
    *,
    release: str,
    namespace: str,
    role: str,
    comment: str | None,
    expires: str | None,
    yes: bool,
    dry_run: bool,
    output: str,
    kubeconfig: Path | None,
    context: str | None,
) -> None:
    access = Access(kubeconfig=kubeconfig, context=context)
    console = Console(stderr=output != "table")
    found = asyncio.run(_get(access, namespace, release))
    status = found.get("status") or {}
    if not status.get("releaseDigest") or not status.get("evidenceDigest"):
        message = f"mr/{release} has no status yet: is the controller running? (kubectl describe mr/{release} -n {namespace})"
        raise Unknown(message)
    wanted = manifest(found, decision=decision, role=role, comment=comment, expires=expires)
    show(console, found, decision=decision, role=role)
    if dry_run:
        _print(wanted, output if output != "table" else "yaml")
        return
    if not yes and not click.confirm(f"{decision.value} as {role}?", err=True):
        raise Refused("nothing was created")
    created = asyncio.run(_create(access, namespace, wanted))
    if output == "table":
        console.print(f"[green]✓[/] mra/{created['metadata']['name']} created by {created['spec']['approver']['username']}")
    else:
        _print(created, output)


def manifest(release: dict[str, Any], *, decision: ApprovalDecision, role: str, comment: str | None, expires: str | None) -> dict[str, Any]:
    """Return the ReleaseApproval of a release as it was read."""
    name, status = release["metadata"]["name"], release["status"]
    optional = {"comment": comment, "expires": expires}
    return {
        "apiVersion": API_VERSION,
        "kind": "ReleaseApproval",
        "metadata": {"generateName": f"{name}-{role}-", "namespace": release["metadata"]["namespace"]},
        "spec": {
            "release": {"name": name},
            "releaseDigest": status["releaseDigest"],
            "evidenceDigest": status["evidenceDigest"],
            "role": role,
            "decision": decision.value,
            **{key: value for key, value in optional.items() if value},
        },
    }


def show(console: Console, release: dict[str, Any], *, decision: ApprovalDecision, role: str) -> None:
    """Show what is signed off."""
    spec, status = release["spec"], release["status"]
    baseline = (spec["change"].get("baseline") or {}).get("name", "none, this is the first release")
    console.print(f"[bold]{decision.value}[/] {spec['model']}/{spec['version']} as [bold]{role}[/]", highlight=False)
    console.print(f"  change    {spec['change']['type']}; baseline {baseline}", highlight=False)
    console.print(f"  tier      {(status.get('risk') or {}).get('tier', 'unknown')}", highlight=False)
    console.print(f"  release   {status['releaseDigest']}", highlight=False, soft_wrap=True)
    console.print(f"  evidence  {status['evidenceDigest']}", highlight=False, soft_wrap=True)
    table = Table("requirement", "outcome", "what was looked at", box=None, pad_edge=False)
    for result in status.get("requirements") or ():
        colour = _COLOURS.get(result["outcome"], "white")
        table.add_row(result["name"], f"[{colour}]{result['outcome']}[/]", result["message"])
    console.print(table)


def _print(item: dict[str, Any], output: str) -> None:
    click.echo(json.dumps(item, indent=2) if output == "json" else yaml.safe_dump(item, sort_keys=False).rstrip())


class Refused(click.ClickException):
    """The answer is no."""

    exit_code = 1


class Unknown(click.ClickException):
    """It could not be told."""

    exit_code = 3


async def _get(access: Access, namespace: str, name: str) -> dict[str, Any]:
    from sluice.cluster.resource import RELEASES  # noqa: PLC0415 - see the package

    return await _ask(access, lambda client: client.get(RELEASES.path(namespace, name)), f"mr/{name} in namespace {namespace}")


async def _create(access: Access, namespace: str, item: dict[str, Any]) -> dict[str, Any]:
    from sluice.cluster.resource import APPROVALS  # noqa: PLC0415 - see the package

    return await _ask(access, lambda client: client.create(APPROVALS, item, namespace=namespace), "the approval")


async def _ask(access: Access, request: Callable[[Any], Any], what: str) -> dict[str, Any]:
    from sluice.cluster.client import ApiClient  # noqa: PLC0415 - see the package
    from sluice.cluster.connection import Connection  # noqa: PLC0415 - see the package
    from sluice.cluster.errors import ApiError, Unavailable  # noqa: PLC0415 - see the package

    try:
        async with ApiClient(Connection.load(kubeconfig=access.kubeconfig, context=access.context)) as client:
            answer: dict[str, Any] = await request(client)
            return answer
    except Unavailable as error:
        message = f"the API server cannot be reached: {error}"
        raise Unknown(message) from error
    except ApiError as error:
        message = f"{what}: {error}"
        raise Refused(message) from error
