"""`sluice diff`: what changed from one release to another: artifacts, authority and everything else in the manifest, and what was measured of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from sluice.cli.access import Access, cluster_options, release_name
from sluice.cli.answers import as_text
from sluice.cli.desk import FILES, SLUICE_NAMESPACE, Cluster, Desk
from sluice.cli.verify import OUTPUT, answering, plain

if TYPE_CHECKING:
    from sluice.decision.model import Release
    from sluice.evidence.measurement import Measurement

_CONFIDENCE: Final = 0.95


@click.command()
@click.argument("old", callback=release_name, metavar="mr/OLD")
@click.argument("new", callback=release_name, metavar="mr/NEW")
@click.option("-n", "--namespace", required=True, help="Namespace of both.")
@click.option("-f", "--filename", "files", type=FILES, multiple=True, help="Manifests, or folders of them, instead of the cluster.")
@click.option("--slices", is_flag=True, help="Show what was measured of slices, too.")
@cluster_options
@SLUICE_NAMESPACE
@OUTPUT
def diff(
    *, old: str, new: str, namespace: str, files: tuple[Path, ...], slices: bool, kubeconfig: Path | None, context: str | None, sluice_namespace: str,
    output: str,
) -> None:  # fmt: skip
    """Show what changed from one release to another.

    \b
      sluice diff mr/churn-2-0-0 mr/churn-2-1-0 -n payments
      sluice diff mr/churn-2-0-0 mr/churn-2-1-0 -n payments -f deploy/ --slices -o json

    Measurements are read from the raw files of verified evaluations: of each release the last one that was signed, whether policy lets it count or not.
    Where both files have their samples, differences are of the same cases.

    Ends with 0 when it could be told, and with 3 when not.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    if old == new:
        raise click.UsageError(f"both are {old}; name the release that came before, and the one that came after")
    with answering(output):
        cluster = None if files else Cluster(access=Access(kubeconfig=kubeconfig, context=context), sluice_namespace=sluice_namespace)
        desk = Desk.laid_out(files=files, namespace=namespace, cluster=cluster)
        found = _differences(desk, _release(desk, namespace, old), _release(desk, namespace, new), slices=slices)
        if output == "table":
            _tables(found, old, new)
        else:
            click.echo(as_text(found, output))


def _release(desk: Desk, namespace: str, name: str) -> Release:
    from sluice.decision.model import Release  # noqa: PLC0415 - see the package
    from sluice.decision.records import Key  # noqa: PLC0415

    key = Key(namespace=namespace, name=name)
    found = desk.world.releases.get(key)
    if not isinstance(found, Release):
        raise desk.nothing(key)
    return found


def _differences(desk: Desk, old: Release, new: Release, *, slices: bool) -> dict[str, Any]:
    from sluice.decision.changes import changes_between  # noqa: PLC0415 - see the package

    before, after = (dict(_leaves(each.spec.model_dump(mode="json", by_alias=True, exclude_none=True))) for each in (old, new))
    paths = [path for path in dict.fromkeys([*before, *after]) if before.get(path) != after.get(path)]
    return {
        "old": old.name,
        "new": new.name,
        "changes": [{"field": path, "old": before.get(path), "new": after.get(path)} for path in paths],
        "security": [{"change": str(change.kind), "detail": change.detail} for change in changes_between(new.spec, old.spec)],
        "measurements": list(_measurements(_measured(desk, old), _measured(desk, new), slices=slices)),
    }


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every value in a manifest with its path; entries of lists are called by their name where they have one."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value and all(isinstance(each, dict) and "name" in each for each in value):
        for each in value:
            yield from _leaves({key: inner for key, inner in each.items() if key != "name"} or {"": ""}, f"{path}[{each['name']}]")
    else:
        yield path, value


_Key = tuple[str, str, str, str]


def _measured(desk: Desk, release: Release) -> Mapping[_Key, Measurement]:
    """What the evaluations say of the models of a release: of each number the last that was signed."""
    from sluice.decision.statements import ordered  # noqa: PLC0415 - see the package
    from sluice.evidence.evaluation import Evaluation  # noqa: PLC0415

    facts = (fact for key, item in desk.world.evidence.items() if key.namespace == release.namespace for fact in item.facts)
    about = ordered(fact for fact in facts if fact.subjects & release.model_names)
    return {
        (each.suite, each.metric, each.filter, each.slice): each for fact in about if isinstance(fact.content, Evaluation) for each in fact.content.measurements
    }


def _measurements(old: Mapping[_Key, Measurement], new: Mapping[_Key, Measurement], *, slices: bool) -> Iterator[dict[str, Any]]:
    from sluice.decision.comparison import compare  # noqa: PLC0415 - see the package
    from sluice.decision.measured import is_proportion  # noqa: PLC0415

    for key in sorted(old.keys() | new.keys()):
        suite, metric, filter_, slice_ = key
        if slice_ and not slices:
            continue
        ours, theirs = new.get(key), old.get(key)
        row: dict[str, Any] = {"suite": suite, "metric": metric, "filter": filter_, "slice": slice_}
        row |= {"old": theirs.value if theirs else None, "new": ours.value if ours else None}
        if ours and theirs and is_proportion(ours) and is_proportion(theirs):
            up = compare(ours, theirs, margin=0, confidence=_CONFIDENCE)
            down = compare(theirs, ours, margin=0, confidence=_CONFIDENCE)
            row |= {"difference": up.estimate, "atLeast": up.lower, "atMost": -down.lower, "paired": up.paired, "cases": up.cases}
            row |= {"gained": up.gained, "lost": up.lost} if up.paired else {}
        yield row


def _tables(found: Mapping[str, Any], old: str, new: str) -> None:
    # What manifests and files say is no markup, no link and no emoji.
    console = Console(markup=False, highlight=False, emoji=False)
    if found["security"]:
        console.print(Text("Security changes", style="bold"))
        for each in found["security"]:
            console.print(f"  {each['change']}: {plain(each['detail'])}")
    table = Table("field", Column(old, overflow="fold"), Column(new, overflow="fold"), box=None, pad_edge=False, title="Manifest", title_justify="left")
    for each in found["changes"]:
        table.add_row(plain(each["field"]), *("–" if value is None else plain(value) for value in (each["old"], each["new"])))
    console.print(table)
    if not found["measurements"]:
        console.print("No verified evaluation speaks of either.")
        return
    table = Table(
        "suite", "metric", "slice", old, new, "difference", f"at {_CONFIDENCE}", "cases", box=None, pad_edge=False, title="Measured", title_justify="left"
    )
    for each in found["measurements"]:
        table.add_row(*_measured_row(each))
    console.print(table)


def _measured_row(each: Mapping[str, Any]) -> Iterator[str]:
    yield plain(each["suite"])
    yield plain(each["metric"] + (f",{each['filter']}" if each["filter"] else ""))
    yield plain(each["slice"])
    for value in (each["old"], each["new"]):
        yield "–" if value is None else f"{value:.4f}"
    if "difference" not in each:
        return
    yield f"{each['difference']:+.4f}"
    yield f"{each['atLeast']:+.3f} to {each['atMost']:+.3f}"
    yield f"{each['cases']:,} pairs: +{each['gained']:,} −{each['lost']:,}" if each["paired"] else f"{each['cases']:,}, not paired"
