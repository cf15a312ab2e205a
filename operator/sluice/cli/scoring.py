"""`sluice score`: ask a candidate and its baseline the same cases. In a Job as one shard that serves what it counted, or at a desk, once.

At a desk no cluster is needed: a suite, its cases and two addresses give the same numbers, and the same decision, as a CanaryRun would have.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from sluice.cli.address import Address

if TYPE_CHECKING:
    from sluice.scoring.cases import Cases
    from sluice.scoring.plan import Plan
    from sluice.scoring.process import Scoring
    from sluice.scoring.replay.pairs import Pairs
    from sluice.scoring.tally import Merged

log: Final = logging.getLogger(__name__)

EXIT_CODES: Final = {"Promote": 0, "RollBack": 1, "Inconclusive": 3, "Pending": 3}
TERMINATED: Final = 143
"""As a shell tells of a process that SIGTERM ended: a Job starts the shard again."""
INTERRUPTED: Final = 130
"""As a shell tells of Ctrl-C; click would end with 1, which stands for a decision here."""
_TOKEN_BYTES: Final = 16_384


class _Refused(click.ClickException):
    """Files or flags that cannot be followed."""

    exit_code = 2


class _Failed(click.ClickException):
    """Nobody can say what the comparison would have come to."""

    exit_code = 3


def read_margins(_context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]) -> dict[str, Decimal]:
    """Read `0.02` for every metric (kept under the name ""), and `latency=0.05` for one."""
    margins = {}
    for text in value:
        name, _, number = text.rpartition("=")
        try:
            margins[name] = Decimal(number)
        except InvalidOperation:
            raise click.BadParameter(f"{text!r} is no margin; write 0.02, or latency=0.05 for one metric") from None
    return margins


def read_endpoints(_context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]) -> dict[str, list[str]]:
    """Read `helpful=http://127.0.0.1:8100`; a name that is given twice has two addresses."""
    endpoints: dict[str, list[str]] = {}
    for text in value:
        name, _, address = text.partition("=")
        if not address:
            raise click.BadParameter(f"{text!r} says not where a scorer answers; write helpful=http://127.0.0.1:8100")
        endpoints.setdefault(name, []).append(address)
    return endpoints


_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--plan", "plan_file", type=_FILE, help="Plan of a run, as the controller mounts it.")
@click.option("--cases", "cases_file", type=_FILE, help="Cases, JSON Lines. Not needed for a suite that holds its own.")
@click.option("--shard", type=int, envvar="JOB_COMPLETION_INDEX", default=0, show_default=True, help="Which shard of the plan.  [env: JOB_COMPLETION_INDEX]")
@click.option("--listen", type=Address(), help="Serve /v1/statistics there, and stay until POST /v1/end.")
@click.option("--once", is_flag=True, help="Score everything, print what it comes to, and end.")
@click.option("--suite", "suite_file", type=_FILE, help="ScoringSuite manifest, instead of a plan.")
@click.option("--candidate", metavar="URL", help="With --suite: where the candidate answers.")
@click.option("--baseline", metavar="URL", help="With --suite: where the baseline answers.")
@click.option("--pairs", "pairs_file", type=_FILE, help="With --suite, instead of addresses: what both answered to recorded requests, JSON Lines.")
@click.option("--planned", type=click.IntRange(1, 1_000_000), default=1_000_000, help="With --suite: how many cases to ask at most; default: all.")
@click.option("--seed", type=click.IntRange(0, 2**53), default=0, show_default=True, help="With --suite: fixes the random order of the cases.")
@click.option(
    "--margin",
    "margins",
    multiple=True,
    callback=read_margins,
    default=["0.02"],
    show_default=True,
    help="With --once: how much worse the candidate may be; METRIC=0.05 for one metric. Repeatable.",
)
@click.option("--false-rollback-rate", default="0.05", show_default=True, help="With --once: probability to roll back a candidate within the margins, at most.")
@click.option("--false-promotion-rate", default="0.05", show_default=True, help="With --once: probability to promote one that is outside of a margin, at most.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="With --once: how to print the result.")
@click.option(
    "--result",
    type=click.Path(file_okay=False, path_type=Path),
    help="With --once: write plan.json and statistics.json there, which `sluice canary report` reads.",
)
@click.option("--token-file", type=_FILE, help="Bearer token for the model servers.")
@click.option(
    "--scorer", "scorers", multiple=True, metavar="NAME=URL", callback=read_endpoints, help="With --suite: where a judge or a container answers. Repeatable."
)
@click.option("--judge-token-file", "judge_token_files", type=(str, _FILE), multiple=True, metavar="NAME FILE", help="Bearer token for a judge. Repeatable.")
@click.option("--samples", type=click.Path(dir_okay=False, path_type=Path), help="Write the result of every answer there, JSON Lines.")
@click.option(
    "--keep",
    type=click.Choice(["digests", "texts"]),
    default="digests",
    show_default=True,
    help="What samples have of an answer: its digest, or what it says too.",
)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True, help="What is logged.")
def score(**flags: Any) -> None:  # noqa: ANN401 - click's options
    """Ask a candidate and its baseline the same cases and compare what they answer.

    \b
    In a Job (the controller starts it), one shard of a plan:
      sluice score --plan plan.json --cases cases.jsonl --shard 0 --listen 0.0.0.0:8090
    At a desk, any two servers, no Kubernetes:
      sluice score --once --suite suite.yaml --cases cases.jsonl \\
        --candidate http://127.0.0.1:8081 --baseline http://127.0.0.1:8082 --margin 0.02 --margin latency=0.05
    On what both answered to mirrored requests, nobody is asked (docs/replay.md):
      sluice score --once --suite suite.yaml --pairs pairs.jsonl --margin 0.02 --result comparison

    With --once it ends with 0 for promote, 1 for roll back, 3 for inconclusive or broken off, and 2 when the files or flags cannot be used.
    With --listen, a plan or cases that cannot be used end it with 65.

    The first cases ask the baseline twice: the noise that is shown is how much it differs from itself.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from pydantic import ValidationError  # noqa: PLC0415 - see the package

    from sluice.scoring.cases import CasesRefused  # noqa: PLC0415
    from sluice.scoring.interpret import SuiteRefused  # noqa: PLC0415
    from sluice.scoring.plan import REFUSED, PlanRefused  # noqa: PLC0415
    from sluice.scoring.replay.pairs import PairsRefused  # noqa: PLC0415

    logging.basicConfig(stream=sys.stderr, level=flags["log_level"].upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if flags["once"] == (flags["listen"] is not None):
        raise click.UsageError("say --once, to score everything and end, or --listen HOST:PORT, to serve one shard of a plan")
    try:
        if flags["pairs_file"] is not None:
            _once(*_recorded(flags), flags)
        scoring = _scoring(flags)
        if flags["once"]:
            _once(scoring.plan, partial(_asked, scoring), flags)
        _serve(scoring, flags)
    except (PlanRefused, CasesRefused, PairsRefused, SuiteRefused) as error:
        if flags["once"]:
            raise _Refused(str(error)) from None
        # The last line of a scorer's log is what its Job is asked about.
        click.echo(str(error), err=True)
        sys.exit(REFUSED)
    except OSError as error:
        raise _Failed(str(error)) from None
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        raise _Refused(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from None


def _scoring(flags: dict[str, Any]) -> Scoring:
    from sluice.scoring.process import Scoring  # noqa: PLC0415
    from sluice.scoring.samples import SAMPLES_BYTES, FileSink, Keep  # noqa: PLC0415

    if (flags["plan_file"] is None) == (flags["suite_file"] is None):
        raise click.UsageError("give --plan, or --suite with --candidate and --baseline")
    plan, cases, pairs = _planned(flags) if flags["plan_file"] else (*_from_suite(flags), None)
    if not 0 <= flags["shard"] < plan.shards:
        raise click.UsageError(f"shard {flags['shard']} is none of the {plan.shards} of this plan; they count from 0")
    if flags["once"] and plan.shards != 1:
        raise click.UsageError(f"the plan has {plan.shards} shards; --once scores all units of a plan with one")
    token = None if flags["token_file"] is None else _token(flags["token_file"])
    judge_tokens = {name: _token(path) for name, path in flags["judge_token_files"]}
    sink = None if flags["samples"] is None else FileSink(flags["samples"], limit=None if flags["once"] else SAMPLES_BYTES)
    return Scoring(plan=plan, cases=cases, pairs=pairs, token=token, judge_tokens=judge_tokens, sink=sink, keep=Keep(flags["keep"]))


def _planned(flags: dict[str, Any]) -> tuple[Plan, Cases, Pairs | None]:
    from sluice.scoring.cases import FILE_BYTES, read_cases  # noqa: PLC0415
    from sluice.scoring.plan import PLAN_BYTES, read_plan  # noqa: PLC0415
    from sluice.scoring.replay.exchange import rules_of  # noqa: PLC0415
    from sluice.scoring.replay.pairs import PINNED, read_pairs  # noqa: PLC0415

    if flags["cases_file"] is None:
        raise click.UsageError("a plan names its cases by digest only; give the file with --cases")
    plan = read_plan(_read(flags["plan_file"], PLAN_BYTES))
    if plan.recorded:
        pairs = read_pairs(_read(flags["cases_file"], PINNED.size), rules_of(plan.protocol, plan.scorers), bounds=PINNED)
        return plan, pairs.cases, pairs
    return plan, read_cases(_read(flags["cases_file"], FILE_BYTES)), None


def _from_suite(flags: dict[str, Any]) -> tuple[Plan, Cases]:
    from sluice.api.digests import cases_digest  # noqa: PLC0415
    from sluice.cli.suite_file import read_suite  # noqa: PLC0415
    from sluice.scoring.cases import FILE_BYTES, read_cases  # noqa: PLC0415
    from sluice.scoring.plan import plan_run  # noqa: PLC0415

    if flags["candidate"] is None or flags["baseline"] is None:
        raise click.UsageError("--suite needs --candidate URL and --baseline URL")
    suite = read_suite(flags["suite_file"])
    if flags["cases_file"] is not None:
        raw = _read(flags["cases_file"], FILE_BYTES)
    elif suite.cases.inline is not None:
        raw = suite.cases.inline.encode()
    elif suite.cases.recorded is not None:
        raise click.UsageError("the suite counts recorded pairs; give the recording with --pairs, instead of addresses")
    else:
        raise click.UsageError("the suite keeps its cases elsewhere; fetch them and give the file with --cases")
    cases = read_cases(raw)
    if flags["cases_file"] is not None and suite.cases.inline is None and cases.digest != cases_digest(suite.cases):
        raise _Refused(f"the cases are {cases.digest}, and the suite is about {cases_digest(suite.cases)}; give the file that it names")
    unstarted = [scorer.name for scorer in suite.scorers if scorer.container is not None and scorer.name not in flags["scorers"]]
    if unstarted:
        raise click.UsageError(
            f"nobody starts the container of scorer {unstarted[0]!r} at a desk: start it, and give --scorer {unstarted[0]}=http://127.0.0.1:8000"
        )
    plan = plan_run(
        suite, cases, run="desk", candidate=flags["candidate"], baseline=flags["baseline"], seed=flags["seed"], planned=flags["planned"], minimum=None,
        shards=1, end_token=secrets.token_urlsafe(24), scorer_endpoints=flags["scorers"],
    )  # fmt: skip
    return plan, cases


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        # One byte more tells the reader that it is too large.
        return file.read(limit + 1)


def _token(path: Path) -> str:
    return _read(path, _TOKEN_BYTES).decode("ascii", "replace").strip()


def _serve(scoring: Scoring, flags: dict[str, Any]) -> None:
    from sluice.scoring.process import Terminated, serve  # noqa: PLC0415

    host, port = flags["listen"]
    try:
        asyncio.run(serve(scoring, shard=flags["shard"], host=host, port=port))
    except Terminated:
        sys.exit(TERMINATED)


def _asked(scoring: Scoring) -> Merged:
    from sluice.scoring.process import score_once  # noqa: PLC0415 - see the package

    return asyncio.run(score_once(scoring))


def _recorded(flags: dict[str, Any]) -> tuple[Plan, Callable[[], Merged]]:
    """What was recorded, and how it is counted."""
    from sluice.cli.pairs import compared, plan_of  # noqa: PLC0415 - see the package
    from sluice.scoring.samples import FileSink, Keep  # noqa: PLC0415

    others = {"plan_file": "--plan", "cases_file": "--cases", "candidate": "--candidate", "baseline": "--baseline", "token_file": "--token-file"}
    if given := next((flag for name, flag in others.items() if flags[name] is not None), None):
        raise click.UsageError(f"{given} does not go with --pairs, which hold all that is asked and answered")
    if not flags["once"] or flags["suite_file"] is None:
        raise click.UsageError("--pairs go with --once and --suite FILE")
    plan, pairs, prepared = plan_of(flags["suite_file"], flags["pairs_file"], seed=flags["seed"], planned=flags["planned"], scorers=flags["scorers"])
    tokens = {name: _token(path) for name, path in flags["judge_token_files"]}
    sink = None if flags["samples"] is None else FileSink(flags["samples"])
    return plan, lambda: asyncio.run(compared(plan, pairs, prepared, tokens=tokens, sink=sink, keep=Keep(flags["keep"])))


def _once(plan: Plan, score: Callable[[], Merged], flags: dict[str, Any]) -> NoReturn:
    from sluice.cli.comparison import as_json, as_table, keep  # noqa: PLC0415
    from sluice.scoring.interpret import SuiteRefused  # noqa: PLC0415
    from sluice.scoring.judgement import Terms, judge, standings  # noqa: PLC0415

    unknown = sorted(flags["margins"].keys() - {"", *plan.compared})
    if unknown:
        raise click.UsageError(f"--margin names {unknown[0]!r}, which the suite does not measure; it measures {', '.join(plan.compared) or 'nothing'}")
    general = flags["margins"].get("", Decimal("0.02"))
    try:
        terms = Terms(
            margins={name: flags["margins"].get(name, general) for name in plan.compared},
            false_rollback_rate=Decimal(flags["false_rollback_rate"]),
            false_promotion_rate=Decimal(flags["false_promotion_rate"]),
            planned=plan.planned,
            minimum=plan.minimum,
            sliced=bool(plan.slices),
        )
        for name in plan.compared:
            terms.design(name)
    except (ValueError, InvalidOperation) as error:
        raise _Refused(f"margins and error rates: {error}") from None
    try:
        merged = score()
        judgement = judge(merged, terms)
        stand = standings(merged, terms, looks=judgement.looks)
    except (OSError, SuiteRefused):
        raise
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception:
        # Python would end with 1, which stands for a decision here.
        log.exception("the comparison broke off")
        sys.exit(_Failed.exit_code)
    if flags["result"] is not None:
        keep(flags["result"], plan, merged)
    show = as_json if flags["output"] == "json" else as_table
    click.echo(show(merged, judgement, stand), nl=False)
    sys.exit(EXIT_CODES[judgement.decision])
