"""`sluice probe`: what one metric came to, of the cases of a plan that a model server is asked, or of the answers that it keeps. The controller starts it."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Final

import click

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_TOKEN_BYTES: Final = 16_384


@click.command()
@click.option("--plan", "plan_file", type=_FILE, required=True, help="Plan, as the controller mounts it; its candidate is asked.")
@click.option("--cases", "cases_file", type=_FILE, required=True, help="Cases, JSON Lines.")
@click.option("--metric", required=True, help="The scorer whose values are wanted.")
@click.option("--message", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Where to write what it came to.")
@click.option("--live", "live_url", help="Instead of asking: where the server says which answers its users got.")
@click.option("--since", help="With --live: answers after this time.")
@click.option("--until", help="With --live: and not after this one.")
@click.option("--token-file", type=_FILE, help="Bearer token for the model server.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True, help="What is logged.")
def probe(
    *, plan_file: Path, cases_file: Path, metric: str, message: Path, live_url: str | None, since: str | None, until: str | None,
    token_file: Path | None, log_level: str,
) -> None:  # fmt: skip
    """Ask a release that serves the cases of a suite, or fetch answers that its users got. The controller starts it for monitors (docs/monitors.md).

    It ends with 65, and says why in the message, when plan, cases or metric cannot be used.
    """
    from sluice.scoring import live  # noqa: PLC0415 - see the package
    from sluice.scoring import probe as probing  # noqa: PLC0415
    from sluice.scoring.cases import FILE_BYTES, CasesRefused, read_cases  # noqa: PLC0415
    from sluice.scoring.interpret import SuiteRefused  # noqa: PLC0415
    from sluice.scoring.plan import PLAN_BYTES, REFUSED, PlanRefused, read_plan  # noqa: PLC0415
    from sluice.scoring.protocols.settings import SettingsError  # noqa: PLC0415

    if (live_url is None) != (since is None) or (live_url is None) != (until is None):
        raise click.UsageError("--live, --since and --until go together")
    logging.basicConfig(stream=sys.stderr, level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        plan, cases = read_plan(_read(plan_file, PLAN_BYTES)), read_cases(_read(cases_file, FILE_BYTES))
        token = None if token_file is None else _read(token_file, _TOKEN_BYTES).decode("ascii", "replace").strip()
        if live_url is None:
            found = asyncio.run(probing.probe(plan, cases, metric=metric, token=token))
        else:
            source = live.Source.parse(live_url, since=str(since), until=str(until))
            found = asyncio.run(live.watch(plan, cases, metric=metric, source=source, token=token))
        message.write_bytes(probing.as_message(found))
    except (PlanRefused, CasesRefused, SuiteRefused, SettingsError, probing.ProbeRefused) as error:
        message.write_text(str(error)[: probing.MESSAGE_BYTES // 4], encoding="utf-8")
        click.echo(str(error), err=True)
        sys.exit(REFUSED)


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        # One byte more tells the reader that it is too large.
        return file.read(limit + 1)
