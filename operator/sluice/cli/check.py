"""`sluice check`: the verdict on releases in files, for whoever is about to merge them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from sluice import __version__
from sluice.cli.access import Access, cluster_options, release_name
from sluice.cli.answers import as_text
from sluice.cli.decisions import COLOURS
from sluice.cli.desk import FILES, SLUICE_NAMESPACE, Cluster, Desk
from sluice.cli.findings import Finding, as_junit, as_objects, as_sarif
from sluice.cli.verify import CannotTell, answering, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sluice.decision.finding import Finding as Decision
    from sluice.decision.model import Verdict
    from sluice.decision.records import Key

_RELEASE: Final = "ModelRelease"


def _release_names(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(release_name(context, parameter, value) for value in values)


@click.command()
@click.argument("releases", nargs=-1, callback=_release_names, metavar="[mr/NAME]...")
@click.option("-f", "--filename", "files", type=FILES, multiple=True, required=True, help="Manifests, or folders with all that is below them.")
@click.option("-n", "--namespace", default="default", show_default=True, help="Namespace of objects in the files that name none.")
@click.option("--on-cluster", is_flag=True, help="Lay the files over what the cluster has: policies, trust, approvals and evidence that are not in them.")
@click.option(
    "--until", type=click.Choice(["approval", "serving"]), default="serving", show_default=True,
    help="What is enough: `approval` lets sign-offs, canaries and drills be missing, which come after a merge.",
)  # fmt: skip
@cluster_options
@SLUICE_NAMESPACE
@click.option(
    "-o", "--output", type=click.Choice(["table", "json", "yaml", "sarif", "junit"]), default="table", show_default=True, help="How to print the answer."
)
def check(
    *, releases: tuple[str, ...], files: tuple[Path, ...], namespace: str, on_cluster: bool, until: str, kubeconfig: Path | None, context: str | None,
    sluice_namespace: str, output: str,
) -> None:  # fmt: skip
    """Decide about the releases in files as the cluster would, before they are applied.

    \b
      sluice check -f deploy/
      sluice check -f deploy/ --on-cluster --until approval -o sarif > sluice.sarif
      sluice check mr/churn-2-1-0 -n payments -f deploy/payments -o junit > sluice.xml

    Every bundle is verified here; no status is believed. Without --on-cluster nothing is asked of anybody, and what is not in the files is missing.

    \b
    Ends with  0  every release may serve, or is as far as --until asks
               1  some may not; the table says what is missing, and who can supply it
               2  usage
               3  could not tell: a file that no cluster would take, a cluster that does not answer, or nothing stands in the way but what only a
                  cluster knows (AuthorityUnknown)
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    with answering("json" if output in {"sarif", "junit"} else output):
        cluster = Cluster(access=Access(kubeconfig=kubeconfig, context=context), sluice_namespace=sluice_namespace) if on_cluster else None
        desk = Desk.laid_out(files=files, namespace=namespace, cluster=cluster)
        findings = [_finding(desk, key, until) for key in _asked_for(desk, releases, namespace)]
        desk.without_namespace(finding.key.namespace for finding in findings)
        _print(findings, output)
        stopped = [finding.verdict for finding in findings if not finding.passes]
        if stopped:
            raise click.exceptions.Exit(3 if all(_is_unknown(verdict, until) for verdict in stopped) else 1)


def _asked_for(desk: Desk, releases: Sequence[str], namespace: str) -> list[Key]:
    """The releases that are named, or all in the files. Raises CannotTell: there is none."""
    from sluice.decision.records import Key  # noqa: PLC0415 - see the package

    if releases:
        return [Key(namespace=namespace, name=name) for name in releases]
    found = sorted(key for kind, key in desk.places if kind == _RELEASE)
    if not found:
        raise CannotTell("there is no ModelRelease in the files; name one of the cluster: sluice check mr/NAME -n NAMESPACE --on-cluster -f …")
    return found


def _finding(desk: Desk, key: Key, until: str) -> Finding:
    verdict = desk.world.verdict(key, now=datetime.now(UTC))
    if verdict is None:
        raise desk.nothing(key)
    return Finding(key=key, verdict=verdict, passes=_is_enough(verdict, until), place=desk.places.get((_RELEASE, key)))


def _is_enough(verdict: Verdict, until: str) -> bool:
    from sluice.api.release import Phase  # noqa: PLC0415 - see the package
    from sluice.decision.model import Allowance  # noqa: PLC0415

    return verdict.allows is Allowance.SERVE or (until == "approval" and verdict.phase in {Phase.AWAITING_APPROVAL, Phase.CANARY})


def _is_unknown(verdict: Verdict, until: str) -> bool:
    """Whether nothing stands in the way but what only a cluster knows; `until` as in the command."""
    from sluice.api.requirement import RequirementType  # noqa: PLC0415 - see the package
    from sluice.decision.reasons import Reason  # noqa: PLC0415

    later = {RequirementType.APPROVAL, RequirementType.CANARY, RequirementType.ROLLBACK_DRILL} if until == "approval" else frozenset()
    stands = [result for result in verdict.open if result.type not in later or verdict.hopeless]
    return bool(stands) and all(result.reason is Reason.AuthorityUnknown for result in stands)


def _print(findings: Sequence[Finding], output: str) -> None:
    if output == "sarif":
        click.echo(as_sarif(findings, version=__version__))
    elif output == "junit":
        click.echo(as_junit(findings))
    elif output == "table":
        _tables(findings)
    else:
        click.echo(as_text(as_objects(findings), output))


def _unseen_waivers(verdict: Verdict) -> list[Decision]:
    """The waivers that do not count and of which no requirement tells: what they name is met, or there is no such requirement."""
    told = {result.requirement for result in verdict.open}
    return [waiver for waiver in verdict.waivers if not waiver.counts and told.isdisjoint(waiver.waives)]


def _tables(findings: Sequence[Finding]) -> None:
    # Messages quote signers and files: nothing in them is markup, a link or an emoji.
    console = Console(markup=False, highlight=False, emoji=False)
    for finding in findings:
        mark = Text("✓ ", style="green") if finding.passes else Text("✗ ", style="red")
        console.print(mark.append(f"{finding.key}  {finding.verdict.phase}", style="bold"))
        # Folded, never cut: the end of a digest is what somebody may want to compare.
        table = Table("  requirement", "outcome", Column("what was looked at, and what to do", overflow="fold"), box=None, pad_edge=False)
        for result in finding.results:
            outcome = Text(str(result.outcome), style=COLOURS.get(str(result.outcome), ""))
            remedy = f"\n→ {plain(result.remedy)}" if result.remedy else ""
            table.add_row(f"  {plain(result.requirement)}", outcome, f"{result.reason}: {plain(result.message)}{remedy}")
        console.print(table)
        for fired in finding.verdict.fired:
            console.print(f"  security change {fired.change or fired.trigger}: {plain(fired.detail)}")
        for waiver in _unseen_waivers(finding.verdict):
            console.print(f"  waiver {waiver.name} by {plain(waiver.username) or 'nobody'} does not count ({waiver.reason}): {plain(waiver.said)}")
    passing = sum(finding.passes for finding in findings)
    console.print(f"{passing} of {len(findings)} {'release' if len(findings) == 1 else 'releases'} may go on", style="bold")
