"""`sluice canary verify`: does a run follow from what it names? From the run, its suite, its cases and its samples, which may be in a bucket.

A run that counted recorded pairs is counted again from the recording, which has every answer: samples are needed only where somebody else scored.

It ends with 0 when all of it does, 1 when something differs, 2 when files or flags cannot be used, 3 when the samples end before the decision.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sluice.cli.answers import as_text
from sluice.cli.samples import files_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluice.api.canary import CanarySpec, CanaryStatus
    from sluice.api.scoring import SuiteSpec
    from sluice.provenance.trust import TrustAnchors
    from sluice.scoring.case import Case
    from sluice.scoring.cases import Cases
    from sluice.scoring.compare import Repeat
    from sluice.scoring.judgement import Judgement
    from sluice.scoring.plan import Plan
    from sluice.scoring.repetition import Repeated
    from sluice.scoring.replay.pairs import Pairs

_RUN_BYTES: Final = 3 << 20
_SAMPLES_BYTES: Final = 8 << 30
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_BY_STATISTICS: Final = frozenset({"WorseThanMargin", "WithinMargin", "AllScored", "GateHit"})
DIFFERS: Final = 1
UNKNOWN: Final = 3


class _Refused(click.ClickException):
    """Files or flags that cannot be followed."""

    exit_code = 2


class _Findings:
    """What was looked at: for a person at once, one line each; for a program at the end, `close`."""

    def __init__(self, output: str) -> None:
        self.differs = False
        self._output = output
        self._told: list[dict[str, str]] = []

    def same(self, what: str, told: str) -> None:
        """Say that something is as the run has it."""
        self._tell("same", what, told)

    def other(self, what: str, told: str) -> None:
        """Say that it is not."""
        self.differs = True
        self._tell("DIFFERS", what, told)

    def unknown(self, what: str, told: str) -> None:
        """Say that nobody can tell."""
        self._tell("unknown", what, told)

    def close(self, run: str) -> None:
        """Say everything, where a program reads it."""
        told = {"run": run, "findings": self._told}
        if self._output != "table":
            click.echo(as_text(told, self._output))

    def _tell(self, outcome: str, what: str, told: str) -> None:
        self._told.append({"outcome": outcome.lower(), "what": what, "message": told})
        if self._output == "table":
            click.echo(f"{outcome:<8} {what:<9} {told}")

    def compare(self, what: str, run: str, found: str) -> None:
        """Say which of both it is."""
        if run == found:
            self.same(what, found)
        else:
            self.other(what, f"the run has {run}, the file {found}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A run as the file has it. `namespace`, `name` and `uid` are those that its record must name."""

    spec: CanarySpec
    status: CanaryStatus
    namespace: str
    name: str
    uid: str


@click.command()
@click.argument("run_file", type=_FILE, metavar="RUN.yaml")
@click.option("--suite", "suite_file", type=_FILE, required=True, help="ScoringSuite that the run names.")
@click.option("--cases", "cases_file", type=_FILE, help="Its cases, JSON Lines; or the recording that it counted. Not needed for a suite that holds its own.")
@click.option("--samples", "samples", metavar="FILE|s3://…", multiple=True, help="Samples of the run; once for each shard that wrote its own.")
@click.option("--trust-root", "trust_file", type=_FILE, help="TrustRoot with the public keys of the controller, who signs what runs decide.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True, help="How to print what was found.")
def verify(*, run_file: Path, suite_file: Path, cases_file: Path | None, samples: tuple[str, ...], trust_file: Path | None, output: str) -> None:
    """Tell whether the decision of a run follows from what it names, by repeating it from its samples.

    \b
    No cluster is needed, and nobody is asked but a bucket, where samples are in one:
      kubectl get mcr churn-2-1-0-canary-1 -n payments -o yaml > run.yaml
      kubectl get configmap sluice-controller-key -n sluice-system -o jsonpath='{.data.trust-root\\.json}' > keys.json
      sluice canary verify run.yaml --suite suite.yaml --cases cases.jsonl --samples samples.jsonl --trust-root keys.json

    \b
    In a bucket, with your own AWS credentials (and AWS_ENDPOINT_URL_S3, where it is not at Amazon):
      sluice canary verify run.yaml … --samples s3://ml-audit/samples/sha256/07aa….jsonl

    It ends with 0 when everything is as the run says, 1 when something differs, 3 when the samples end before the decision.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    read, keys = _run(run_file), None if trust_file is None else _keys(trust_file)
    suite, cases, pairs = _suite(suite_file, cases_file, recorded=read.spec.recording is not None)
    findings = _Findings(output)
    _signed(findings, read, keys)
    _pinned(findings, read.spec, suite, cases)
    plan = _plan(suite, cases, read.spec, read.name)
    if samples:
        with files_of(samples) as files:
            code = _repeated(findings, read, plan, cases, files)
    elif pairs is not None:
        code = _recounted(findings, read, plan, pairs)
    else:
        raise click.UsageError("give the --samples of the run: without them nobody knows what was answered")
    findings.close(f"{read.namespace}/{read.name}")
    sys.exit(DIFFERS if findings.differs else code)


def _repeated(findings: _Findings, read: _Read, plan: Plan, cases: Cases, samples: Sequence[Path]) -> int:
    """Compare the run with what its samples come to; 0 when it is known whether they differ."""
    from sluice.scoring.repetition import SamplesRefused, repeat  # noqa: PLC0415 - see the package
    from sluice.scoring.suite import prepare  # noqa: PLC0415

    spec, status = read.spec, read.status
    digests = [_digest(path) for path in samples]
    if status.samples is None:
        findings.unknown("samples", "the run does not name any: whether these are its own, nobody can tell")
    elif status.samples.digest in digests:
        findings.same("samples", status.samples.digest)
    else:
        findings.other("samples", f"the run has {status.samples.digest}, the files {', '.join(digests)}")
    try:
        repeated = repeat(plan, cases.all, prepare(plan, cases).metrics, _lines(samples))
    except SamplesRefused as error:
        findings.other("scores", str(error))
        return 0
    findings.same("order", f"{repeated.units:,} of {plan.planned:,} units are where seed {spec.seed} puts them")
    findings.same("scores", f"{repeated.rescored:,} of {repeated.answers:,} answers, scored again from their texts")
    return _decided(findings, spec, status, plan, repeated)


def _recounted(findings: _Findings, read: _Read, plan: Plan, pairs: Pairs) -> int:
    """Compare the run with what its recording comes to; 0 when it is known whether they differ."""
    from sluice.scoring.repetition import Repeated  # noqa: PLC0415 - see the package
    from sluice.scoring.replay.pairs import score_pairs  # noqa: PLC0415
    from sluice.scoring.samples import Keep  # noqa: PLC0415
    from sluice.scoring.suite import prepare  # noqa: PLC0415

    metrics = prepare(plan, pairs.cases).metrics
    if metrics.remotes:
        raise click.UsageError(f"{', '.join(metrics.remotes)}: what judges and containers said is in the --samples of the run only")

    async def unheard(_case: Case, repeats: Sequence[Repeat]) -> Sequence[Repeat]:
        return repeats

    merged = asyncio.run(score_pairs(plan, pairs, metrics, heard=unheard, sink=None, keep=Keep.DIGESTS))
    answers = sum(len(repeats) for repeats in pairs.repeats.values())
    findings.same("order", f"{merged.scored:,} questions, counted in the order of seed {read.spec.seed}")
    return _decided(findings, read.spec, read.status, plan, Repeated(merged=merged, units=merged.scored, answers=answers, rescored=answers))


def _signed(findings: _Findings, read: _Read, keys: TrustAnchors | None) -> None:
    """Verify what the controller has signed: this run, by its UID, all that it pins, and the decision."""
    from sluice.api.canary import CanaryDecision  # noqa: PLC0415 - see the package
    from sluice.decision.proof import problem_of  # noqa: PLC0415
    from sluice.decision.runs import Run  # noqa: PLC0415

    if keys is None:
        findings.unknown("record", "whether the controller has signed this: give its public keys with --trust-root")
        return
    decision = read.status.decision or CanaryDecision.PENDING
    run = Run(name=read.name, spec=read.spec, decision=decision)
    problem = problem_of(run, read.status.record or "", keys, namespace=read.namespace, uid=read.uid)
    if not problem:
        findings.same("record", f"{decision}, signed by the controller")
    elif read.status.record is None and decision is not CanaryDecision.PROMOTE:
        findings.unknown("record", f"{problem}; only a Promote counts for nothing without one")
    else:
        findings.other("record", problem)


def _pinned(findings: _Findings, spec: CanarySpec, suite: SuiteSpec, cases: Cases) -> None:
    from sluice.api.digests import cases_digest, suite_digest  # noqa: PLC0415 - see the package

    findings.compare("suite", spec.suite_digest, suite_digest(suite))
    if spec.recording is None:
        findings.compare("cases", cases_digest(suite.cases), cases.digest)
    else:
        findings.compare("recording", spec.recording.digest, cases.digest)


def _decided(findings: _Findings, spec: CanarySpec, status: CanaryStatus, plan: Plan, repeated: Repeated) -> int:
    """Compare the decisions; 0 when it is known whether they differ."""
    found = _judged(spec, status, plan, repeated)
    told = f"{status.decision} ({status.reason}) after {status.units or 0:,} units"
    again = f"{found.decision} ({found.reason}) after {found.units:,} units"
    if status.reason not in _BY_STATISTICS:
        findings.unknown("decision", f"{told} is no matter of statistics; by these it is {again}")
        return UNKNOWN
    if found.decision == "Pending" and found.looks == len(repeated.merged.looks):
        findings.unknown("decision", f"{told}; the samples end after {found.units:,} units without one")
        return UNKNOWN
    if (str(status.decision), status.reason) != (str(found.decision), found.reason) or (found.reason != "GateHit" and status.units != found.units):
        # How many units were known when a gate was hit is a matter of time.
        findings.other("decision", f"the run has {told}; the samples come to {again}")
        return 0
    shared = bool(spec.exposure) and found.decision == "Promote" and (status.message or "").startswith(f"{found.message}, and ")
    if status.message != found.message and found.reason != "GateHit" and not shared:
        findings.other("decision", f"the run says {status.message!r}; the samples come to {found.message!r}")
        return 0
    findings.same("decision", f"{again}: {found.message}")
    if shared:
        findings.unknown("share", f"the run says {status.message!r}; what users met is in no sample")
    if found.reason != "GateHit":
        _numbers(findings, status, repeated, looks=found.looks)
    return 0


def _numbers(findings: _Findings, status: CanaryStatus, repeated: Repeated, *, looks: int) -> None:
    """Compare how many cases each metric counts in each slice, and their mean difference."""
    from sluice.scoring.statistics.series import Series  # noqa: PLC0415 - see the package

    for metric in status.metrics:
        series = Series.of(look.tallies.get(metric.name, {}).get(metric.slice, {}) for look in repeated.merged.looks[:looks])
        run, found = f"{metric.estimate} of {metric.pairs:,}", f"{series.means[-1]:.4f} of {round(float(series.units[-1])):,}"
        if run != found:
            findings.other("numbers", f"{metric.name} in {metric.slice}: the run has {run}, the samples come to {found}")
            return
    findings.same("numbers", f"{len(status.metrics)} mean differences")


def _judged(spec: CanarySpec, status: CanaryStatus, plan: Plan, repeated: Repeated) -> Judgement:
    from sluice.scoring.judgement import Terms, judge, up_to  # noqa: PLC0415 - see the package

    terms = Terms(
        margins={metric: Decimal((spec.margins or {}).get(metric, spec.margin)) for metric in plan.compared},
        false_rollback_rate=Decimal(spec.false_rollback_rate),
        false_promotion_rate=Decimal(spec.false_promotion_rate),
        planned=plan.planned,
        minimum=plan.minimum,
        sliced=bool(plan.slices),
        waits=spec.min_duration is not None,
    )
    # A promotion that had to wait is one as of the newest look then. Scorers went on until they were told to end.
    return judge(up_to(repeated.merged, units=status.units or 0) if terms.waits else repeated.merged, terms)


def _manifest(path: Path, kind: str, remedy: str) -> Mapping[str, Any]:
    from sluice.cli.manifests import ManifestRefused, only  # noqa: PLC0415 - see the package

    try:
        return only(path, kind, most_bytes=_RUN_BYTES, remedy=remedy)
    except ManifestRefused as refused:
        raise _Refused(str(refused)) from None


def _keys(path: Path) -> TrustAnchors:
    from sluice.provenance.errors import ProvenanceError  # noqa: PLC0415 - see the package
    from sluice.provenance.trust import TrustAnchors  # noqa: PLC0415

    manifest = _manifest(path, "TrustRoot", "entry trust-root.json of ConfigMap sluice-controller-key is one")
    try:
        return TrustAnchors.keys("sluice-controller-key", {str(key["name"]): str(key["pem"]) for key in manifest["spec"]["keys"]})
    except (KeyError, TypeError):
        raise _Refused(f"{path}: spec.keys: the controller signs with a key; this TrustRoot has no list of names with their pem") from None
    except ProvenanceError as error:
        raise _Refused(f"{path}: {error}") from None


def _run(path: Path) -> _Read:
    from pydantic import ValidationError  # noqa: PLC0415 - see the package

    from sluice.api.canary import CanarySpec, CanaryStatus  # noqa: PLC0415

    manifest = _manifest(path, "CanaryRun", "`kubectl get mcr NAME -n NAMESPACE -o yaml` writes one")
    try:
        spec, status = CanarySpec.model_validate(manifest.get("spec")), CanaryStatus.model_validate(manifest.get("status") or {})
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        raise _Refused(f"{path}: {'.'.join(map(str, wrong['loc'])) or 'spec'}: {wrong['msg']}; is this command as new as the controller?") from None
    if status.decision is None or status.decision == "Pending":
        raise _Refused(f"{path}: the run has not decided yet")
    metadata = manifest.get("metadata") or {}
    return _Read(spec=spec, status=status, **{field: str(metadata.get(field, "")) for field in ("namespace", "name", "uid")})


def _suite(suite_file: Path, cases_file: Path | None, *, recorded: bool) -> tuple[SuiteSpec, Cases, Pairs | None]:
    """The suite with its cases; or with what a run counted, which is `recorded`."""
    from sluice.cli.suite_file import read_suite  # noqa: PLC0415 - see the package
    from sluice.scoring.cases import FILE_BYTES, CasesRefused, read_cases  # noqa: PLC0415
    from sluice.scoring.interpret import SuiteRefused  # noqa: PLC0415
    from sluice.scoring.replay.exchange import rules_of  # noqa: PLC0415
    from sluice.scoring.replay.pairs import PINNED, PairsRefused, read_pairs  # noqa: PLC0415

    suite = read_suite(suite_file)
    if cases_file is not None:
        with cases_file.open("rb") as file:
            raw = file.read(FILE_BYTES + 1)
    elif suite.cases.inline is not None:
        raw = suite.cases.inline.encode()
    else:
        raise click.UsageError("the suite keeps its cases elsewhere; fetch them and give the file with --cases")
    try:
        if recorded:
            pairs = read_pairs(raw, rules_of(suite.protocol, suite.scorers), bounds=PINNED)
            return suite, pairs.cases, pairs
        return suite, read_cases(raw), None
    except (CasesRefused, PairsRefused, SuiteRefused) as error:
        raise _Refused(str(error)) from None


def _plan(suite: SuiteSpec, cases: Cases, spec: CanarySpec, name: str) -> Plan:
    from sluice.scoring.interpret import SuiteRefused  # noqa: PLC0415 - see the package
    from sluice.scoring.plan import plan_run, shards_asked  # noqa: PLC0415
    from sluice.scoring.suite import prepare  # noqa: PLC0415

    try:
        # Where the models were changes neither what was asked nor what counts.
        plan = plan_run(
            suite, cases, run=name, candidate="recorded:candidate", baseline="recorded:baseline", seed=spec.seed, planned=spec.planned, minimum=spec.minimum,
            shards=shards_asked(spec.shards, planned=spec.planned, cases=cases.count), end_token=secrets.token_urlsafe(24),
            recorded=spec.recording is not None,
        )  # fmt: skip
        prepare(plan, cases)
    except SuiteRefused as error:
        raise _Refused(str(error)) from None
    return plan


def _digest(path: Path) -> str:
    if path.stat().st_size > _SAMPLES_BYTES:
        raise _Refused(f"{path}: longer than {_SAMPLES_BYTES >> 30} GiB")
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _lines(paths: Sequence[Path]) -> Iterator[bytes]:
    from sluice.scoring.repetition import LINE_BYTES  # noqa: PLC0415 - see the package

    for path in paths:
        with path.open("rb") as file:
            while line := file.readline(LINE_BYTES + 1):
                yield line
