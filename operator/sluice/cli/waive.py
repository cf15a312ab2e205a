"""`sluice waive`: somebody takes the risk of requirements that a release does not meet, until a date.

Who may is said by `waivableBy` of each requirement, in roles of the policy; a waiver names none, for its person may hold several. As with approvals the API
server stamps who it is, and the digest is that of the release that was shown. It counts once others approve it: `sluice approve waiver/NAME`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.text import Text

from sluice.api.names import API_VERSION
from sluice.cli.access import Access, Refused, release_name
from sluice.cli.counter import Counter
from sluice.cli.decisions import COLOURS, WAIVER_WORDS, future, show, sign_off_options
from sluice.cli.verify import plain


@click.command()
@click.argument("release", callback=release_name, metavar="mr/NAME")
@click.option("-n", "--namespace", required=True, help="Namespace of the release.")
@click.option("--requirement", "requirements", multiple=True, required=True, help="A requirement that is waived, by name; may be given more than once.")
@click.option("--reason", required=True, help="Why it cannot be met.")
@click.option("--risk-owner", required=True, help="Who carries the risk.")
@click.option("--ticket", required=True, metavar="URI", help="Where it is tracked.")
@click.option("--compensating-controls", help="What is done instead.")
@click.option("--expires", required=True, metavar="TIME", callback=future, help="When the waiver ends, e.g. 2026-12-20T00:00:00Z.")
@sign_off_options
def waive(
    *, release: str, namespace: str, requirements: tuple[str, ...], reason: str, risk_owner: str, ticket: str, compensating_controls: str | None, expires: str,
    yes: bool, dry_run: bool, output: str, kubeconfig: Path | None, context: str | None,
) -> None:  # fmt: skip
    """Waive requirements of RELEASE (mr/NAME), each by name, until a date.

    \b
      sluice waive mr/churn-2-1-0 -n payments --requirement quality --reason "the evaluation cluster is being rebuilt" \\
        --risk-owner payments-risk --ticket https://changes.example.com/RISK-77 --expires 2026-12-01T00:00:00Z

    Shows the release and what is waived, and asks. It counts when each policy lets a role of yours waive the requirement (waivableBy), nothing that you
    signed or operate is behind the release, and others approve it: sluice approve waiver/NAME. A revoked release or artifact cannot be waived.

    Ends with 0 when it was created, 1 when you or the cluster say no, or it does not count, 3 when it cannot be told.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    counter = Counter(access=Access(kubeconfig=kubeconfig, context=context), namespace=namespace, yes=yes, dry_run=dry_run, output=output)
    found = counter.release(release)
    named = list(dict.fromkeys(requirements))
    optional = {"compensatingControls": compensating_controls} if compensating_controls else {}
    told = {"reason": reason, "riskOwner": risk_owner, "ticket": ticket, **optional, "expires": expires}
    wanted = manifest(found, requirements=named, told=told)
    outcomes = {result["name"]: result["outcome"] for result in found["status"].get("requirements") or ()}
    if unknown := [name for name in named if name not in outcomes]:
        raise Refused(f"mr/{release} is asked for no {', '.join(unknown)}; it is for {', '.join(sorted(outcomes)) or 'nothing'}")
    console = counter.console
    show(console, found, title=f"Waive {', '.join(named)} of {found['spec']['model']}/{found['spec']['version']}")
    for name in named:
        console.print(Text(f"  waived    {plain(name)}: ").append(outcomes[name], style=COLOURS.get(outcomes[name], "")))
    for what, text in told.items():
        console.print(f"  {WAIVER_WORDS[what]:<9} {plain(text)}")
    counter.sign_off(wanted, question=f"Waive {', '.join(named)} until {expires}?")


def manifest(release: dict[str, Any], *, requirements: list[str], told: dict[str, str]) -> dict[str, Any]:
    """Return the ReleaseWaiver of a release as it was read; `told` are the fields that people fill in. Raises UsageError: the cluster would not take it."""
    from sluice.api.approval import WaiverSpec  # noqa: PLC0415 - see the package
    from sluice.decision.reading import Unreadable, read  # noqa: PLC0415

    name = release["metadata"]["name"]
    spec = {"release": {"name": name}, "releaseDigest": release["status"]["releaseDigest"], "requirements": requirements, **told}
    if isinstance(problem := read(WaiverSpec, {"spec": spec}), Unreadable):
        raise click.UsageError(str(problem))
    return {
        "apiVersion": API_VERSION,
        "kind": "ReleaseWaiver",
        "metadata": {"generateName": f"{name}-waiver-", "namespace": release["metadata"]["namespace"]},
        "spec": spec,
    }
