"""`sluice canary report`: a comparison as one page for people, and as JSON for programs.

On a CanaryRun alone it shows what the status holds. With the plan and the statistics of the scorers, which a decided run keeps in a ConfigMap, it judges
again, as the controller did, and says so when that contradicts the run. It ends with 0 when the report is written, whatever the decision is.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sluice.cli.access import Access, cluster_options
from sluice.cli.canary_watch import read_once, wanted_of
from sluice.cli.scoring import read_margins

if TYPE_CHECKING:
    from sluice.cli.report.detail import Detail
    from sluice.cli.report.numbers import Comparison, Inputs
    from sluice.scoring.plan import Plan

_RUN_BYTES: Final = 3 << 20
"""No object of the API server is larger."""
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_BY_METRIC: Final = frozenset({"WorseThanMargin", "WithinMargin", "AllScored", "GateHit"})
"""Reasons that come from statistics; a run that ended for another one is not contradicted by them."""


class _Refused(click.ClickException):
    """Files or flags that cannot be followed."""

    exit_code = 2


@click.command()
@click.argument("run", required=False, metavar="[RUN | mr/RELEASE]")
@click.option("-n", "--namespace", help="Namespace of the run.")
@click.option("--run-file", type=_FILE, help="Instead of RUN: a CanaryRun, as `kubectl get mcr NAME -o yaml` writes it.")
@click.option("--plan", "plan_file", type=_FILE, help="Plan of the run, as the controller mounts it for the scorers.")
@click.option("--statistics", "statistics_files", type=_FILE, multiple=True, help="What a scorer answers to GET /v1/statistics; once for each shard.")
@click.option(
    "--margin",
    "margins",
    multiple=True,
    callback=read_margins,
    help="Without a run: how much worse the candidate may be; METRIC=0.05 for one metric. Repeatable; default: 0.02.",
)
@click.option("--false-rollback-rate", help="Without a run: probability to roll back a candidate within the margins, at most; default: 0.05.")
@click.option("--false-promotion-rate", help="Without a run: probability to promote one that is outside of a margin, at most; default: 0.05.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), help="Where to write the page (HTML); - is standard output.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), help="Where to write all numbers; - is standard output.")
@cluster_options
def report(**flags: Any) -> None:  # noqa: ANN401 - click's options
    """Write what a comparison came to: a page (-o) that needs no other file, and all numbers (--json).

    \b
    Of a run on the cluster, or of the newest of a release:
      sluice canary report mr/churn-2-1-0 -n payments -o report.html
    With how it came about, from what the scorers counted:
      sluice canary report RUN -n payments --plan plan.json --statistics shard-0.json --statistics shard-1.json -o report.html --json report.json
    At a desk, without a cluster:
      sluice canary report --plan plan.json --statistics shard-0.json --margin 0.02 -o report.html
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    if flags["output"] is None and flags["json_file"] is None:
        raise click.UsageError("say where to write the page, with -o FILE, or the numbers, with --json FILE")
    if flags["output"] is not None:
        _needs_matplotlib()
    comparison, detail, differs = _read(flags)
    if flags["json_file"] is not None:
        from sluice.cli.report.as_json import numbers  # noqa: PLC0415 - see the package

        _write(flags["json_file"], json.dumps(numbers(comparison, detail), indent=2) + "\n")
    if flags["output"] is not None:
        from sluice.cli.report.page import page  # noqa: PLC0415 - see the package

        _write(flags["output"], page(comparison, detail, differs=differs))
    if differs:
        click.echo(f"careful: {differs}", err=True)


def _needs_matplotlib() -> None:
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra

        del mpl
    except ImportError:
        raise click.ClickException("a page needs matplotlib to draw: install sluice[report], or write the numbers alone with --json FILE") from None


def _read(flags: dict[str, Any]) -> tuple[Comparison, Detail | None, str]:
    from sluice.cli.report.numbers import Unreadable, read_run  # noqa: PLC0415 - see the package

    has_run = flags["run"] is not None or flags["namespace"] is not None or flags["run_file"] is not None
    if flags["run_file"] is not None and (flags["run"] or flags["namespace"]):
        raise click.UsageError("give a run of the cluster, with -n NAMESPACE, or --run-file, not both")
    if bool(flags["statistics_files"]) != (flags["plan_file"] is not None):
        raise click.UsageError("--statistics and --plan go together: the plan says what the statistics may say")
    if not has_run and flags["plan_file"] is None:
        raise click.UsageError("name a run, with -n NAMESPACE, or give --run-file, or --plan with --statistics")
    if has_run and (flags["margins"] or flags["false_rollback_rate"] or flags["false_promotion_rate"]):
        raise click.UsageError("the run says which margins and error rates count; --margin and rates are for statistics without one")
    if flags["run"] and not flags["namespace"]:
        raise click.UsageError("say in which namespace the run is: -n NAMESPACE")
    try:
        manifest, kept = _manifest(flags) if has_run else (None, None)
        told = None if manifest is None else read_run(manifest)
        if flags["plan_file"] is not None:
            plan, raw = _plan_of(flags["plan_file"]), _statistics_of(flags["statistics_files"])
        elif told is None:
            raise click.UsageError("there is nothing to report on")
        elif kept is None:
            return told, None, ""
        else:
            plan, raw = _unpacked(kept, (manifest or {})["status"]["statistics"]["digest"])
        if told is None:
            return *_judged(plan, raw, desk_inputs(plan, flags), _desk_margins(plan, flags)), ""
        if plan.run != told.inputs.run or plan.seed != told.inputs.seed:
            raise _Refused(
                f"{flags['plan_file'] or 'the ConfigMap with the statistics'}: the plan is of run {plan.run} (seed {plan.seed}), not of {told.inputs.run} "
                f"(seed {told.inputs.seed}): give the run, plan and statistics of one comparison"
            )
        # A suite with fewer cases than were planned has fewer scorers than the run pins.
        told = replace(told, inputs=replace(told.inputs, shards=plan.shards))
        spec = manifest["spec"] if manifest else {}
        margins = {name: Decimal((spec.get("margins") or {}).get(name, spec["margin"])) for name in plan.compared}
        again, detail = _judged(plan, raw, told.inputs, margins)
        return *together(told, again, detail), differences(told, again)
    except Unreadable as error:
        raise _Refused(str(error)) from None


def together(told: Comparison, again: Comparison, detail: Detail) -> tuple[Comparison, Detail]:
    """Put the run and its statistics together: what the run has decided stands; where both speak of the same cases, numbers are those that are not rounded."""
    from sluice.api.canary import CanaryPhase  # noqa: PLC0415 - see the package

    if told.phase is CanaryPhase.EXPOSING:
        # The comparison is over, and what is decided by it is not.
        return replace(told, metrics=again.metrics), detail
    if not told.is_decided:
        return replace(again, started_at=told.started_at), detail
    if told.units == again.units or not told.metrics:
        return replace(told, metrics=again.metrics), detail
    return told, detail


def differences(told: Comparison, again: Comparison) -> str:
    """Say in what the statistics, judged again, contradict the run; "" when they do not."""
    if not told.is_decided or told.reason not in _BY_METRIC or (told.decision, told.units) == (again.decision, again.units):
        return ""
    return (
        f"the run says {told.decision} after {told.units:,} cases; its statistics, judged again, say {again.decision} after {again.units:,}. "
        "Either the statistics are not all that the controller read, or one of both was changed."
    )


def desk_inputs(plan: Plan, flags: dict[str, Any]) -> Inputs:
    """What is known of a comparison that no run asked for."""
    from sluice.cli.report.numbers import Compared, Inputs, clean  # noqa: PLC0415 - see the package

    try:
        rates = [float(flags[name] or "0.05") for name in ("false_rollback_rate", "false_promotion_rate")]
    except ValueError:
        raise click.UsageError("an error rate is a number between 0 and 0.5, such as 0.05") from None
    if not all(0 < rate < 0.5 for rate in rates):  # noqa: PLR2004 - a test that errs every second time is none
        raise click.UsageError("an error rate is a number between 0 and 0.5, such as 0.05")
    return Inputs(
        run=clean(plan.run),
        candidate=Compared(name=clean(plan.candidate)),
        baseline=Compared(name=clean(plan.baseline)),
        suite=Compared(name="cases", digest=plan.cases_digest),
        recording=Compared(name="a file at this desk", digest=plan.cases_digest) if plan.recorded else None,
        policy=None,
        seed=plan.seed,
        shards=plan.shards,
        false_rollback_rate=rates[0],
        false_promotion_rate=rates[1],
    )


def _desk_margins(plan: Plan, flags: dict[str, Any]) -> dict[str, Decimal]:
    given: dict[str, Decimal] = flags["margins"]
    unknown = sorted(given.keys() - {"", *plan.compared})
    if unknown:
        raise click.UsageError(f"--margin names {unknown[0]!r}, which the plan does not measure; it measures {', '.join(plan.compared) or 'nothing'}")
    outside = next((margin for margin in given.values() if not 0 <= margin <= 1), None)
    if outside is not None:
        raise click.UsageError(f"--margin {outside}: a difference of scores is at most 1, so give a number from 0 to 1")
    return {name: given.get(name, given.get("", Decimal("0.02"))) for name in plan.compared}


def _judged(plan: Plan, raw: Sequence[tuple[str, bytes]], inputs: Inputs, margins: dict[str, Decimal]) -> tuple[Comparison, Detail]:
    from sluice.cli.report.detail import judged, merged_of  # noqa: PLC0415 - see the package

    try:
        # StatisticsRefused and NotMergeable are kinds of ValueError, as are margins that are out of range.
        return judged(plan, merged_of(plan, raw), inputs, margins)
    except (ValueError, InvalidOperation) as error:
        raise _Refused(str(error)) from None


def _unpacked(kept: bytes, digest: str) -> tuple[Plan, list[tuple[str, bytes]]]:
    from sluice.scoring.kept import NotKept, unpack  # noqa: PLC0415 - see the package
    from sluice.scoring.plan import PlanRefused, read_plan  # noqa: PLC0415

    try:
        plan, shards = unpack(kept, digest=digest)
        return read_plan(plan), [(f"shard {number} of the run's statistics", shard) for number, shard in enumerate(shards)]
    except (NotKept, PlanRefused) as error:
        raise _Refused(f"the ConfigMap with the statistics of the run: {error}") from None


def _manifest(flags: dict[str, Any]) -> tuple[dict[str, Any], bytes | None]:
    if flags["run_file"] is None:
        return asyncio.run(read_once(Access(kubeconfig=flags["kubeconfig"], context=flags["context"]), wanted_of(flags["run"], flags["namespace"])))
    from sluice.cli.manifests import ManifestRefused, only  # noqa: PLC0415 - see the package

    try:
        return only(flags["run_file"], "CanaryRun", most_bytes=_RUN_BYTES, remedy="`kubectl get mcr NAME -n NAMESPACE -o yaml` writes one"), None
    except ManifestRefused as refused:
        raise _Refused(str(refused)) from None


def _plan_of(path: Path) -> Plan:
    from sluice.scoring.plan import PLAN_BYTES, PlanRefused, read_plan  # noqa: PLC0415 - see the package

    try:
        return read_plan(_bytes(path, PLAN_BYTES))
    except PlanRefused as error:
        raise _Refused(f"{path}: {error}") from None


def _statistics_of(paths: Sequence[Path]) -> list[tuple[str, bytes]]:
    from sluice.scoring.wire import STATISTICS_BYTES  # noqa: PLC0415 - see the package

    return [(str(path), _bytes(path, STATISTICS_BYTES)) for path in paths]


def _bytes(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise _Refused(f"{path}: longer than {limit:,} bytes")
    return content


def _write(path: Path, text: str) -> None:
    try:
        with click.open_file(str(path), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None
