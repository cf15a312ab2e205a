"""`sluice explain`: why a verdict is what it is, for whoever has to act on it and for whoever asks later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from sluice.cli.access import Access, cluster_options, release_name
from sluice.cli.decisions import COLOURS
from sluice.cli.desk import FILES, SLUICE_NAMESPACE, Cluster, Desk
from sluice.cli.verify import answering, plain

if TYPE_CHECKING:
    from sluice.decision.model import Release, Result, Verdict
    from sluice.decision.records import Key

_MARKS = {"Satisfied": "✓", "Waived": "~", "Missing": "•", "Expired": "•", "Failed": "✗"}


@click.command()
@click.argument("release", callback=release_name, metavar="mr/NAME")
@click.option("-n", "--namespace", required=True, help="Namespace of the release.")
@click.option("-f", "--filename", "files", type=FILES, multiple=True, help="Manifests, or folders of them, instead of the cluster.")
@cluster_options
@SLUICE_NAMESPACE
def explain(*, release: str, namespace: str, files: tuple[Path, ...], kubeconfig: Path | None, context: str | None, sluice_namespace: str) -> None:
    """Explain the verdict on a release: what each requirement looked at, what it means, and who can do what.

    \b
      sluice explain mr/churn-2-1-0 -n payments
      sluice explain mr/churn-2-1-0 -n payments -f deploy/

    Decided here and now, from everything that the cluster (or the files) has: no status is believed. For machines: sluice check -o json.
    Ends with 0 when it could be told, whatever the verdict is, and with 3 when not.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from sluice.decision.model import Release  # noqa: PLC0415 - see the package
    from sluice.decision.records import Key  # noqa: PLC0415

    with answering("table"):
        key = Key(namespace=namespace, name=release)
        cluster = None if files else Cluster(access=Access(kubeconfig=kubeconfig, context=context), sluice_namespace=sluice_namespace)
        desk = Desk.laid_out(files=files, namespace=namespace, cluster=cluster)
        if files:
            desk.without_namespace([namespace])
        verdict, known = desk.world.verdict(key, now=datetime.now(UTC)), desk.world.releases.get(key)
        if verdict is None or not isinstance(known, Release):
            raise desk.nothing(key)
        _show(key, known, verdict, _names(desk, namespace))


def _names(desk: Desk, namespace: str) -> dict[str, str]:
    """The `ReleaseEvidence` behind each bundle, by digest."""
    return {fact.bundle_digest: key.name for key, item in desk.world.evidence.items() if key.namespace == namespace for fact in item.facts}


def _show(key: Key, release: Release, verdict: Verdict, names: dict[str, str]) -> None:
    # Messages quote signers and files: nothing in them is markup, a link or an emoji.
    console = Console(markup=False, highlight=False, emoji=False, soft_wrap=False)
    serves = verdict.phase == "Serving"
    head = f"{release.spec.model}/{release.spec.version} (mr/{key.name} in {key.namespace}) {'may serve' if serves else 'may not serve'}: {verdict.phase}"
    console.print(Text(plain(head), style="bold green" if serves else "bold red"))
    for line in _facts(release, verdict):
        console.print(Padding(plain(line), (0, 0, 0, 2)))
    console.print(Text("\nRequirements", style="bold"))
    for result in verdict.results:
        _requirement(console, result, names)
    if verdict.approvals or verdict.waivers:
        console.print(Text("\nDecisions of people", style="bold"))
    for finding in (*verdict.approvals, *verdict.waivers):
        mark = Text("✓ ", style="green") if finding.counts else Text("• ", style="yellow")
        said = (("rejected" if finding.rejects else "") or finding.role) + (f" ({finding.at})" if finding.at else "")
        console.print(
            Padding(
                mark.append(plain(f"{names.get(finding.name, finding.name)}: {finding.username} {said}".rstrip() + f" – {finding.said}"), style=""),
                (0, 0, 0, 2),
            )
        )


def _facts(release: Release, verdict: Verdict) -> Iterator[str]:
    change = release.spec.change
    yield f"change    {change.type}" + (f" of {change.baseline.name}" if change.baseline else "; it names no baseline")
    yield f"tier      {verdict.tier or 'none'}"
    for fired in verdict.fired:
        yield f"security  {fired.change or fired.trigger}: {fired.detail} (trigger {fired.trigger} of {fired.policy})"
    if verdict.risk_owner:
        yield f"risk      carried by {verdict.risk_owner}"
    yield f"release   {verdict.release_digest}"
    yield f"evidence  {verdict.evidence_digest}"
    if verdict.changes_at:
        yield f"time      the verdict stays as it is until {verdict.changes_at:%Y-%m-%d %H:%M:%S} UTC, unless something changes"


def _requirement(console: Console, result: Result, names: dict[str, str]) -> None:
    from sluice.decision.frameworks import TITLES  # noqa: PLC0415 - see the package
    from sluice.decision.reasons import MEANING  # noqa: PLC0415

    outcome = str(result.outcome)
    head = Text(f"{_MARKS.get(outcome, '•')} ", style=COLOURS.get(outcome, ""))
    head.append(plain(f"{result.requirement}"), style="bold").append(f" {outcome} ({result.reason})").append(plain(f", asked by {result.policy}"), style="dim")
    console.print(Padding(head, (0, 0, 0, 2)))
    told = [result.message]
    if outcome not in {"Satisfied", "Waived"}:
        told.append(MEANING[result.reason])
    if result.remedy:
        told.append(f"→ {result.remedy}")
    told += [f"rests on {names.get(digest, 'evidence')}, {digest}" for digest in result.evidence]
    told += [f"helps with {control}" + (f", {TITLES[control]}" if control in TITLES else "") for control in result.control_mappings]
    for line in told:
        console.print(Padding(plain(line), (0, 0, 0, 6)))
