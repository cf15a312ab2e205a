"""A suite and recorded pairs, as one comparison: what was recorded takes the place of what is asked."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sluice.scoring.plan import Plan
    from sluice.scoring.replay.pairs import Bounds, Pairs
    from sluice.scoring.samples import Keep, Sink
    from sluice.scoring.suite import Prepared
    from sluice.scoring.tally import Merged


class _Refused(click.ClickException):
    """Pairs that cannot be compared by."""

    exit_code = 2


def plan_of(
    suite_file: Path, pairs_file: Path, *, seed: int, planned: int, scorers: Mapping[str, Sequence[str]], bounds: Bounds | None = None
) -> tuple[Plan, Pairs, Prepared]:
    """Read both, and plan to count every unit, or `planned`; `scorers` says where judges and containers answer. What was left out is said.

    `bounds` of the pairs; absent: what fits at a desk. Raises SuiteRefused, OSError.
    """
    from sluice.cli.suite_file import read_suite  # noqa: PLC0415 - see the package
    from sluice.scoring.plan import RECORDED_BASELINE, RECORDED_CANDIDATE, plan_run  # noqa: PLC0415
    from sluice.scoring.replay.exchange import rules_of  # noqa: PLC0415
    from sluice.scoring.replay.pairs import AT_A_DESK, PairsRefused, read_pairs  # noqa: PLC0415
    from sluice.scoring.suite import prepare  # noqa: PLC0415

    # How often a question came is what the recording says.
    suite = read_suite(suite_file).model_copy(update={"repeats": 1})
    rules, most = rules_of(suite.protocol, suite.scorers), bounds or AT_A_DESK
    try:
        with pairs_file.open("rb") as file:
            pairs = read_pairs(file.read(most.size + 1), rules, bounds=most)
    except PairsRefused as error:
        raise _Refused(f"{pairs_file}: {error}") from None
    plan = plan_run(
        suite, pairs.cases, run="desk", candidate=RECORDED_CANDIDATE, baseline=RECORDED_BASELINE, recorded=True, seed=seed, planned=planned, minimum=None,
        shards=1, end_token=secrets.token_urlsafe(24), scorer_endpoints=scorers,
    )  # fmt: skip
    prepared = prepare(plan, pairs.cases)
    if pairs.left_out:
        click.echo("left out: " + ", ".join(f"{reason} {count:,}" for reason, count in sorted(pairs.left_out.items())), err=True)
    if pairs.alike:
        click.echo(f"{pairs.alike:,} pairs are left out, because their questions came more than 32 times", err=True)
    return plan, pairs, prepared


async def compared(plan: Plan, pairs: Pairs, prepared: Prepared, *, tokens: Mapping[str, str], sink: Sink | None, keep: Keep) -> Merged:
    """Count all pairs; judges are asked with `tokens`. Raises SuiteRefused, OSError."""
    from sluice.scoring.interpret import SuiteRefused  # noqa: PLC0415 - see the package
    from sluice.scoring.protocols.settings import SettingsError  # noqa: PLC0415
    from sluice.scoring.remote.panel import panel_of  # noqa: PLC0415
    from sluice.scoring.replay.pairs import score_pairs  # noqa: PLC0415

    try:
        panel = panel_of(plan, prepared.metrics, timeout_seconds=prepared.limits.timeout_seconds, tokens=tokens)
    except SettingsError as error:
        raise SuiteRefused(str(error)) from None
    async with panel:
        return await score_pairs(plan, pairs, prepared.metrics, heard=panel.heard, sink=sink, keep=keep)
