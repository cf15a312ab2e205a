"""`sluice approve` and `sluice reject`: a person decides about exactly what they were shown.

The release is read once; what is shown and what is signed off are the same digests. Who decides is not sent: the API server stamps it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import yaml
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from sluice.api.names import API_VERSION
from sluice.cli.access import Access, Refused, Unknown, cluster_options, connected, release_name
from sluice.cli.verify import plain

if TYPE_CHECKING:
    from sluice.api.approval import ApprovalDecision

COUNTED_SECONDS = 10.0
"""How long the controller is given to say whether a decision counts: it looks at once, and there is nobody to ask while none leads."""
_AGAIN_SECONDS = 0.3
_ROLE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_COLOURS = {"Satisfied": "green", "Waived": "yellow", "Missing": "yellow", "Expired": "yellow", "Failed": "red"}
F = TypeVar("F", bound=Callable[..., Any])


def _label(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Accept what may be the name of a role."""
    if not _ROLE.fullmatch(value):
        message = f"{value!r}: a role is written as in the ReleasePolicy, in lower-case letters, digits and dashes"
        raise click.BadParameter(message)
    return value


def _future(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Accept a time to come, as the API server takes it (RFC 3339, with an offset)."""
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        message = f"{value!r}: write date, time and offset, such as 2026-12-20T00:00:00Z"
        raise click.BadParameter(message)
    if time <= datetime.now(UTC):
        message = f"{value!r} has passed: the decision would count for nothing"
        raise click.BadParameter(message)
    return value


def _options(command: F) -> F:
    for option in (
        cluster_options,
        click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True, help="How to print the result."),
        click.option("--dry-run", is_flag=True, help="Show what would be created, and create nothing."),
        click.option("-y", "--yes", is_flag=True, help="Do not ask."),
        click.option("--expires", metavar="TIME", callback=_future, help="When the decision ends, e.g. 2026-12-20T00:00:00Z."),
        click.option("--comment", help="Why."),
        click.option("--role", required=True, callback=_label, help="The role in which you decide; a ReleasePolicy lists who holds it."),
        click.option("-n", "--namespace", required=True, help="Namespace of the release."),
        click.argument("release", callback=release_name),
    ):
        command = option(command)
    return command


@click.command()
@_options
def approve(**arguments: Any) -> None:  # noqa: ANN401 - click's options
    """Approve RELEASE (mr/NAME) on exactly the evidence it has now.

    \b
      sluice approve mr/churn-2-1-0 -n payments --role security
      sluice approve mr/churn-2-1-0 -n payments --role owner --comment "see CHG-1042" --expires 2027-01-31T00:00:00Z --yes

    Shows what is signed off (the release, its evidence, every requirement) and asks. The approval names both digests and dies when either changes.

    Ends with 0 when it was created, 1 when you or the cluster say no, or it does not count, 3 when it cannot be told.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from sluice.api.approval import ApprovalDecision  # noqa: PLC0415 - see the package

    _decide(ApprovalDecision.APPROVE, **arguments)


@click.command()
@_options
def reject(**arguments: Any) -> None:  # noqa: ANN401 - click's options
    """Reject RELEASE (mr/NAME). It stays rejected, whatever is approved, until the rejection is deleted or ends.

    \b
      sluice reject mr/churn-2-1-0 -n payments --role security --comment "refuses too little"

    Ends with 0 when it was created, 1 when you or the cluster say no, or it does not count, 3 when it cannot be told.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from sluice.api.approval import ApprovalDecision  # noqa: PLC0415 - see the package

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
    # Messages quote signers and files, such as spec.initContainers[model]: nothing in them is markup, a link or an emoji.
    console = Console(stderr=output != "table", markup=False, highlight=False, emoji=False)
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
    counted = asyncio.run(_counted(access, namespace, created["metadata"]["name"]))
    counts = counted is not None and counted["status"] == "True"
    if output == "table":
        mark, more = (Text("✓", style="green"), ", and counts") if counts else (Text("•"), "")
        console.print(mark, plain(f"mra/{created['metadata']['name']} created by {created['spec']['approver']['username']}{more}"))
    else:
        _print(created, output)
    name = created["metadata"]["name"]
    if counted is None:
        click.echo(f"note: whether it counts is not said yet: kubectl get mra/{name} -n {namespace}", err=True)
    elif not counts:
        message = f"mra/{name} is there and does not count: {plain(counted.get('message') or counted.get('reason'))}"
        raise Refused(message)


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
    console.print(plain(f"{decision.value} {spec['model']}/{spec['version']} as {role}"), style="bold")
    console.print(f"  change    {spec['change']['type']}; baseline {baseline}")
    console.print(f"  tier      {(status.get('risk') or {}).get('tier', 'unknown')}")
    console.print(f"  release   {status['releaseDigest']}", soft_wrap=True)
    console.print(f"  evidence  {status['evidenceDigest']}", soft_wrap=True)
    # Folded, never cut: the end of a digest is what somebody may want to compare.
    table = Table("requirement", "outcome", Column("what was looked at", overflow="fold"), box=None, pad_edge=False)
    for result in status.get("requirements") or ():
        outcome = Text(result["outcome"], style=_COLOURS.get(result["outcome"], ""))
        table.add_row(result["name"], outcome, plain(result["message"]))
    console.print(table)


def _print(item: dict[str, Any], output: str) -> None:
    click.echo(json.dumps(item, indent=2) if output == "json" else yaml.safe_dump(item, sort_keys=False).rstrip())


async def _get(access: Access, namespace: str, name: str) -> dict[str, Any]:
    from sluice.cluster.resource import RELEASES  # noqa: PLC0415 - see the package

    return await _ask(access, lambda client: client.get(RELEASES.path(namespace, name)), f"mr/{name} in namespace {namespace}")


async def _create(access: Access, namespace: str, item: dict[str, Any]) -> dict[str, Any]:
    from sluice.cluster.resource import APPROVALS  # noqa: PLC0415 - see the package

    return await _ask(access, lambda client: client.create(APPROVALS, item, namespace=namespace), "the approval")


async def _counted(access: Access, namespace: str, name: str) -> dict[str, Any] | None:
    """Read what the controller says about a decision; None when it has said nothing yet, or may not be asked."""
    from sluice.cluster.errors import ApiError  # noqa: PLC0415 - see the package
    from sluice.cluster.resource import APPROVALS  # noqa: PLC0415

    try:
        async with asyncio.timeout(COUNTED_SECONDS), connected(access) as client:
            while True:
                conditions = ((await client.get(APPROVALS.path(namespace, name))).get("status") or {}).get("conditions") or ()
                if found := next((condition for condition in conditions if condition["type"] == "Counted"), None):
                    return dict(found)
                await asyncio.sleep(_AGAIN_SECONDS)
    except (ApiError, TimeoutError):
        return None


async def _ask(access: Access, request: Callable[[Any], Any], what: str) -> dict[str, Any]:
    from sluice.cluster.errors import ApiError, Unavailable  # noqa: PLC0415 - see the package

    try:
        async with connected(access) as client:
            answer: dict[str, Any] = await request(client)
            return answer
    except Unavailable as error:
        message = f"the API server cannot be reached: {error}"
        raise Unknown(message) from error
    except ApiError as error:
        message = f"{what}: {error}"
        raise Refused(message) from error
