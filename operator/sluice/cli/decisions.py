"""`sluice approve` and `sluice reject`: a person decides about exactly what they were shown, a release or a waiver of requirements of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from sluice.api.names import API_VERSION
from sluice.cli.access import Access, Refused, Unknown, cluster_options, release_name
from sluice.cli.counter import Counter
from sluice.cli.signed_decisions import Signing, signing_options
from sluice.cli.verify import plain

if TYPE_CHECKING:
    from sluice.api.approval import ApprovalDecision

_ROLE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
COLOURS = {"Satisfied": "green", "Waived": "yellow", "Missing": "yellow", "Expired": "yellow", "Failed": "red"}
F = TypeVar("F", bound=Callable[..., Any])


def _label(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Accept what may be the name of a role."""
    if not _ROLE.fullmatch(value):
        message = f"{value!r}: a role is written as in the ReleasePolicy, in lower-case letters, digits and dashes"
        raise click.BadParameter(message)
    return value


def future(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
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


def sign_off_options(command: F) -> F:
    """Add what every decision takes, before what is decided and after it."""
    for option in (
        cluster_options,
        click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True, help="How to print the result."),
        click.option("--dry-run", is_flag=True, help="Show what would be created, and create nothing."),
        click.option("-y", "--yes", is_flag=True, help="Do not ask."),
    ):
        command = option(command)
    return command


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        signing_options,
        sign_off_options,
        click.option("--expires", metavar="TIME", callback=future, help="When the decision ends, e.g. 2026-12-20T00:00:00Z; what is signed has to end."),
        click.option("--comment", help="Why."),
        click.option("--role", required=True, callback=_label, help="The role in which you decide; a ReleasePolicy lists who holds it."),
        click.option("-n", "--namespace", required=True, help="Namespace of the release."),
        click.argument("subject", callback=_subject, metavar="mr/NAME|waiver/NAME"),
    ):
        command = option(command)
    return command


def _subject(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, str]:
    """Accept a release, `mr/NAME` or `NAME`, and a waiver, `waiver/NAME`."""
    kind, _, name = value.rpartition("/")
    if kind.lower() in _WAIVERS and name:
        return "ReleaseWaiver", name
    return "ModelRelease", release_name(context, parameter, value)


@click.command()
@_options
def approve(**arguments: Any) -> None:  # noqa: ANN401 - click's options
    """Approve a release (mr/NAME) on exactly the evidence it has now, or a waiver (waiver/NAME).

    \b
      sluice approve mr/churn-2-1-0 -n payments --role security
      sluice approve mr/churn-2-1-0 -n payments --role owner --comment "see CHG-1042" --expires 2027-01-31T00:00:00Z --yes
      sluice approve waiver/churn-2-1-0-quality -n payments --role risk
      sluice approve mr/churn-2-1-0 -n payments --role security -f deploy/ --expires 2026-12-20T00:00:00Z --key sam.pem > approval.yaml

    Shows what is signed off (the release, its evidence, every requirement) and asks. An approval names the digests of what was shown and dies when one
    changes. With --key or --keyless it is signed and printed as a ReleaseEvidence, to be committed to Git: whoever applies it, you approved.

    Ends with 0 when it was created, 1 when you or the cluster say no, or it does not count, 3 when it cannot be told.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from sluice.api.approval import ApprovalDecision  # noqa: PLC0415 - see the package

    _decide(ApprovalDecision.APPROVE, **arguments)


@click.command()
@_options
def reject(**arguments: Any) -> None:  # noqa: ANN401 - click's options
    """Reject a release (mr/NAME) or a waiver (waiver/NAME). It stays rejected, whatever is approved, until the rejection is deleted or ends.

    \b
      sluice reject mr/churn-2-1-0 -n payments --role security --comment "refuses too little"

    Ends with 0 when it was created, 1 when you or the cluster say no, or it does not count, 3 when it cannot be told.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from sluice.api.approval import ApprovalDecision  # noqa: PLC0415 - see the package

    _decide(ApprovalDecision.REJECT, **arguments)


def _decide(
    decision: ApprovalDecision,
    *,
    subject: tuple[str, str],
    namespace: str,
    role: str,
    comment: str | None,
    expires: str | None,
    yes: bool,
    dry_run: bool,
    output: str,
    kubeconfig: Path | None,
    context: str | None,
    signing: Signing | None,
) -> None:
    access = Access(kubeconfig=kubeconfig, context=context)
    counter = Counter(access=access, namespace=namespace, yes=yes, dry_run=dry_run, output=output, signing=signing)
    kind, name = subject
    waiver = counter.read(kind, name) if kind == "ReleaseWaiver" else None
    found = counter.release(waiver["spec"]["release"]["name"] if waiver else name)
    wanted = manifest(found, decision=decision, role=role, comment=comment, expires=expires, waiver=waiver)
    spec = found["spec"]
    of = f"waiver {name} of " if waiver else ""
    show(counter.console, found, title=f"{decision.value} {of}{spec['model']}/{spec['version']} as {role}")
    if waiver:
        show_waiver(counter.console, waiver)
    counter.sign_off(wanted, question=f"{decision.value} {of.removesuffix(' of ')}{' ' if of else ''}as {role}?")


def manifest(
    release: dict[str, Any], *, decision: ApprovalDecision, role: str, comment: str | None, expires: str | None, waiver: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the ReleaseApproval of a release as it was read, or of a waiver of it. Raises Refused: the waiver is of what the release was before."""
    name, status = release["metadata"]["name"], release["status"]
    seen = {"evidenceDigest": status["evidenceDigest"]}
    if waiver is not None:
        if waiver["spec"].get("releaseDigest") != status["releaseDigest"]:
            raise Refused(f"the waiver is of release digest {waiver['spec'].get('releaseDigest')}; mr/{name} has {status['releaseDigest']}")
        seen = {"waiver": {"name": waiver["metadata"]["name"], "digest": _digest(waiver)}}
    optional = {"comment": comment, "expires": expires}
    return {
        "apiVersion": API_VERSION,
        "kind": "ReleaseApproval",
        "metadata": {"generateName": f"{name}-{role}-", "namespace": release["metadata"]["namespace"]},
        "spec": {
            "release": {"name": name},
            "releaseDigest": status["releaseDigest"],
            **seen,
            "role": role,
            "decision": decision.value,
            **{key: value for key, value in optional.items() if value},
        },
    }


def _digest(waiver: dict[str, Any]) -> str:
    """What an approval of the waiver names, from what was read and shown, and not from what somebody says that it is. Raises Unknown."""
    from sluice.api.approval import WaiverSpec  # noqa: PLC0415 - see the package
    from sluice.api.digests import waiver_digest  # noqa: PLC0415
    from sluice.decision.reading import Unreadable, read  # noqa: PLC0415

    spec = read(WaiverSpec, waiver)
    if isinstance(spec, Unreadable):
        raise Unknown(f"the waiver cannot be read: {spec}")
    return waiver_digest(name=waiver["metadata"]["name"], spec=spec)


def show_waiver(console: Console, waiver: dict[str, Any]) -> None:
    """Show what somebody asks to be waived."""
    spec = waiver["spec"]
    by = (spec.get("approver") or {}).get("username", "nobody whom the API server stamped")
    console.print(plain(f"  waiver    {', '.join(spec['requirements'])}; asked for by {by}"), style="bold")
    for field, word in WAIVER_WORDS.items():
        if text := spec.get(field):
            console.print(f"  {word:<9} {plain(text)}")


WAIVER_WORDS = {"reason": "because", "riskOwner": "risk of", "ticket": "tracked", "compensatingControls": "instead", "expires": "until"}
_WAIVERS = frozenset({"waiver", "mrw", "releasewaiver", "releasewaivers", "releasewaiver.sluice.dev"})


def show(console: Console, release: dict[str, Any], *, title: str) -> None:
    """Show what is signed off."""
    spec, status = release["spec"], release["status"]
    baseline = (spec["change"].get("baseline") or {}).get("name", "none, this is the first release")
    console.print(plain(title), style="bold")
    console.print(f"  change    {spec['change']['type']}; baseline {baseline}")
    console.print(f"  tier      {(status.get('risk') or {}).get('tier', 'unknown')}")
    if owner := (status.get("risk") or {}).get("owner"):
        console.print(plain(f"  risk      carried by {owner}"))
    console.print(f"  release   {status['releaseDigest']}", soft_wrap=True)
    console.print(f"  evidence  {status['evidenceDigest']}", soft_wrap=True)
    # Folded, never cut: the end of a digest is what somebody may want to compare.
    table = Table("requirement", "outcome", Column("what was looked at", overflow="fold"), box=None, pad_edge=False)
    for result in status.get("requirements") or ():
        outcome = Text(result["outcome"], style=COLOURS.get(result["outcome"], ""))
        table.add_row(result["name"], outcome, plain(result["message"]))
    console.print(table)
