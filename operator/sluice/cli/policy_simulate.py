"""`sluice policy simulate`: what a changed policy does to the releases that are there, before it is applied."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from sluice.cli.access import Access, cluster_options
from sluice.cli.answers import as_text
from sluice.cli.desk import FILES, SLUICE_NAMESPACE, Cluster, Desk
from sluice.cli.findings import rejections, result_object
from sluice.cli.verify import OUTPUT, CannotTell, answering, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sluice.decision.model import Result, Verdict
    from sluice.decision.records import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A release whose verdict is another one after the change."""

    key: Key
    before: Verdict
    after: Verdict

    @property
    def loses(self) -> bool:
        """Whether it may serve before, and not after."""
        return self.before.allows == "Serve" != self.after.allows

    @property
    def gains(self) -> bool:
        """Whether it may serve after, and not before."""
        return self.after.allows == "Serve" != self.before.allows

    @property
    def new(self) -> tuple[Result, ...]:
        """What it lacks after, and did not before."""
        lacked = {(result.policy, result.requirement, result.reason) for result in _against(self.before)}
        return tuple(result for result in _against(self.after) if (result.policy, result.requirement, result.reason) not in lacked)


def _against(verdict: Verdict) -> tuple[Result, ...]:
    return (*verdict.open, *rejections(verdict))


@click.command()
@click.option(
    "-f", "--filename", "files", type=FILES, multiple=True, required=True, help="The change: policies, trust roots, or whatever else is to be applied."
)
@click.option("--files", "instead", type=FILES, multiple=True, help="Manifests, or folders of them, to hold it against, instead of a cluster.")
@click.option("-n", "--namespace", default="default", show_default=True, help="Namespace of objects in files that name none.")
@cluster_options
@SLUICE_NAMESPACE
@OUTPUT
def simulate(
    *, files: tuple[Path, ...], instead: tuple[Path, ...], namespace: str, kubeconfig: Path | None, context: str | None, sluice_namespace: str, output: str
) -> None:
    """Decide about every release that is there, without a change and with it, and tell what flips.

    \b
      sluice policy simulate -f policy.yaml
      sluice policy simulate -f policy.yaml -f trust.yaml --context production -o json
      sluice policy simulate -f policy.yaml --files deploy/

    Everything is read once and nothing is written: read rights on the resources of Sluice and on Namespaces suffice. Every bundle is verified here.

    \b
    Ends with  0  no release loses its right to serve
               1  some do; the table says what they will lack
               2  usage
               3  could not tell: a change that no cluster would take, or a cluster that does not answer
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    with answering(output):
        cluster = None if instead else Cluster(access=Access(kubeconfig=kubeconfig, context=context), sluice_namespace=sluice_namespace)
        desk = Desk.laid_out(files=instead, namespace=namespace, cluster=cluster)
        # One moment for both: what time alone changes is not told as what the change does.
        now, keys = datetime.now(UTC), sorted(desk.world.releases)
        before = _verdicts(desk, keys, now)
        if not before:
            raise CannotTell("there is no release that can be read, so nothing would show what the change does")
        if instead:
            desk.without_namespace(key.namespace for key in before)
        desk.lay(files, namespace=namespace)
        _check_policies(desk)
        after = _verdicts(desk, keys, now)
        flips = list(_flips(before, after))
        _print(flips, total=len(before), unread=len(keys) - len(before), output=output)
        if any(flip.loses for flip in flips):
            raise click.exceptions.Exit(1)


def _verdicts(desk: Desk, keys: Sequence[Key], now: datetime) -> dict[Key, Verdict]:
    return {key: verdict for key in keys if (verdict := desk.world.verdict(key, now=now)) is not None}


def _check_policies(desk: Desk) -> None:
    """Refuse a policy of the change that the cluster would not take. Raises CannotTell."""
    from sluice.api.kinds import RELEASE_POLICY  # noqa: PLC0415 - see the package
    from sluice.decision.model import InvalidPolicy  # noqa: PLC0415

    for (kind, key), place in desk.places.items():
        known = desk.world.policies.get(key.name) if kind == RELEASE_POLICY.name else None
        if isinstance(known, InvalidPolicy):
            raise CannotTell(f"{place.path}:{place.line}: ReleasePolicy {key.name} cannot be used: {known.message}")


def _flips(before: Mapping[Key, Verdict], after: Mapping[Key, Verdict]) -> Iterator[Flip]:
    for key, verdict in before.items():
        if key not in after:
            raise CannotTell(f"the change makes ModelRelease {key} one that cannot be read")
        flip = Flip(key=key, before=verdict, after=after[key])
        if (verdict.phase, verdict.allows) != (flip.after.phase, flip.after.allows) or flip.new:
            yield flip


def _print(flips: Sequence[Flip], *, total: int, unread: int, output: str) -> None:
    counts = {
        "releases": total,
        "unchanged": total - len(flips),
        "loseServing": sum(flip.loses for flip in flips),
        "gainServing": sum(flip.gains for flip in flips),
        "unreadable": unread,
    }
    if output == "table":
        _table(flips, counts)
        return
    answer = {"counts": counts, "flips": [_object(flip) for flip in flips]}
    click.echo(as_text(answer, output))


def _object(flip: Flip) -> dict[str, Any]:
    sides = {side: {"phase": str(one.phase), "allows": str(one.allows)} for side, one in (("before", flip.before), ("after", flip.after))}
    named = {"namespace": flip.key.namespace, "release": flip.key.name, "losesServing": flip.loses}
    return {**named, **sides, "newlyMissing": [result_object(result) for result in flip.new]}


def _table(flips: Sequence[Flip], counts: Mapping[str, int]) -> None:
    # Messages quote signers and files: nothing in them is markup, a link or an emoji.
    console = Console(markup=False, highlight=False, emoji=False)
    if flips:
        table = Table("release", "before", "after", Column("what is new to it, and what to do", overflow="fold"), box=None, pad_edge=False)
        for flip in sorted(flips, key=lambda each: (not each.loses, each.key)):
            style = "red" if flip.loses else "green" if flip.gains else ""
            told = "\n".join(_told(result) for result in flip.new) or "nothing"
            table.add_row(plain(str(flip.key)), str(flip.before.phase), Text(str(flip.after.phase), style=style), told)
        console.print(table)
    console.print(
        f"{counts['loseServing']} of {counts['releases']} lose their right to serve, {counts['gainServing']} gain it; {counts['unchanged']} as before",
        style="bold",
    )
    if counts["unreadable"]:
        console.print(f"{counts['unreadable']} more cannot be read, and serve neither before nor after")


def _told(result: Result) -> str:
    remedy = f"\n→ {plain(result.remedy)}" if result.remedy else ""
    return f"{plain(result.requirement)} ({result.reason}): {plain(result.message)}{remedy}"
