"""`sluice evidence convert`: Parquet, Arrow and MLflow become scored samples, or plain metrics, at the desk of whoever evaluates.

The cluster reads neither of them. What comes out is read by the very reader of the cluster before it is written, so what is refused here is what would be
refused there; and what a source does not say is asked for, never guessed.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sluice.cli.sign_model import WRITABLE, in_a_folder
from sluice.cli.sign_model import write_bundle as write_whole
from sluice.cli.verify import answering, tell

if TYPE_CHECKING:
    from sluice.api.strict_json import JsonObject, JsonValue
    from sluice.cli.convert.tables import Table
    from sluice.evidence.measurement import Measurement

_FIELD: Final = re.compile(r"id|(scores|slices)\..+", re.DOTALL)
_MAGIC_BYTES: Final = 8
_SHOWN: Final = 20
_WHY: Final = {
    "suite": "--suite NAME         which suite it is: policy asks for it by name",
    "tool": "--tool NAME=VERSION  what ran the evaluation, for who reads the verdict",
    "cases": "--cases N            how many cases the suite has: a number is believed as far as they reach, and a run that was cut short would count as whole",
}
_ANYTHING: Final = click.Path(exists=True, path_type=Path)


def _columns(_context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    """`scores.accuracy=correct` as field and column."""
    found: dict[str, str] = {}
    for text in value:
        name, equals, column = text.partition("=")
        if not equals or not column or not _FIELD.fullmatch(name):
            raise click.BadParameter(f"{text!r}: write id=COLUMN, scores.METRIC=COLUMN or slices.FIELD=COLUMN", param=parameter)
        if name in found:
            raise click.BadParameter(f"{name} is given twice, from {found[name]!r} and from {column!r}", param=parameter)
        found[name] = column
    return found


def _tool(_context: click.Context, parameter: click.Parameter, value: str | None) -> JsonObject | None:
    if value is None:
        return None
    name, equals, version = value.partition("=")
    if not equals or not name or not version:
        raise click.BadParameter(f"{value!r}: write NAME=VERSION, such as our-eval=1.2", param=parameter)
    return {"name": name, "version": version}


@click.command("convert")
@click.argument("sources", nargs=-1, required=True, type=_ANYTHING, metavar="SOURCE…")
@click.option("-o", "--output", "to", type=WRITABLE, callback=in_a_folder, required=True, help="Where to write; .gz and .zst are compressed.")
@click.option("--suite", help="Name of the suite, as measures of a policy name it.")
@click.option("--suite-digest", metavar="sha256:…", help="Digest over the cases of the suite, where a policy pins it.")
@click.option("--tool", callback=_tool, metavar="NAME=VERSION", help="What ran the evaluation.")
@click.option("--cases", type=click.IntRange(min=1), metavar="N", help="How many cases the suite has. A run that answered fewer is refused.")
@click.option(
    "--column", "named", multiple=True, callback=_columns, metavar="FIELD=COLUMN",
    help="What a column is: id=COLUMN, scores.METRIC=COLUMN, slices.FIELD=COLUMN. Who names one score (or slice) names all of them. Repeatable.",
)  # fmt: skip
@click.option("--id-of", multiple=True, metavar="COLUMN", help="Where no column names the case: make its name of what this one holds. Repeatable.")
@click.option("--step", type=int, metavar="N", help="Of a metric file with several values: the step of the evaluation.")
def convert(
    *,
    sources: tuple[Path, ...],
    to: Path,
    suite: str | None,
    suite_digest: str | None,
    tool: JsonObject | None,
    cases: int | None,
    named: Mapping[str, str],
    id_of: tuple[str, ...],
    step: int | None,
) -> None:
    """Convert results of an evaluation to what a cluster reads, before they are signed.

    \b
    SOURCE is  a Parquet or Arrow file with a row for each answer      → scored samples, JSON Lines
               a table of MLflow, or the folder of a run that has one  → scored samples
               metric files of an MLflow run (metrics/NAME)            → plain metrics, JSON; worth less: no slices, no comparison case by case

    \b
    Columns `id`, `scores.accuracy` and `slices.region` say what they are; of others you say it:
      sluice evidence convert answers.parquet --suite churn-core --tool our-eval=1.2 --cases 500 \\
        --column id=question_id --column scores.accuracy=correct --column slices.region=region -o samples.jsonl
    What mlflow.evaluate found; the same question is the same case:
      sluice evidence convert mlruns/1/4f2a… --suite churn-core --tool mlflow=3.17.2 --cases 500 --id-of inputs -o samples.jsonl.zst
    A number of which nothing else is left:
      sluice evidence convert mlruns/1/4f2a…/metrics/accuracy --suite churn-core --tool our-eval=1.2 --cases 500 -o metrics.json
    Then sign it as any other raw file: docs/evaluations.md.

    \b
    --suite, --tool and --cases may stand in the file: the first line of scored samples, as entry `sluice.dev/scored-samples` of its key-value metadata.
    Parquet and Arrow need pyarrow, an extra: install sluice[arrow], or pyarrow beside it.

    \b
    Ends with  0  written; the reader of the cluster has read it
               1  not converted: a row, a column or a run that is not whole; the reason is printed
               2  usage: options, or something that no file says and you have to
               3  could not tell: something cannot be read or written
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from sluice.cli.convert import mlflow  # noqa: PLC0415 - see the package

    stated: JsonObject = {"suite": suite, "suiteDigest": suite_digest, "tool": tool, "cases": cases}
    stated = {key: value for key, value in stated.items() if value is not None}
    with answering("table", what="converted"):
        if any(to.exists() and to.samefile(source) for source in sources):
            raise click.UsageError(f"--output {to} is SOURCE itself; name another file")
        for source in sources:
            with _told(source):
                mlflow.check_finished(source)
        with _told(sources[0]):
            table = _table_of(sources[0])
        if table is None:
            if named or id_of:
                raise click.UsageError("a metric file has one number and no columns: --column and --id-of are for tables")
            content, notes = _metrics(sources, stated, step=step)
        elif len(sources) > 1:
            raise click.UsageError(f"{sources[0]} has rows: convert one such file at a time; what two runs answered is two statements")
        elif step is not None:
            raise click.UsageError("--step is for metric files; a table has rows")
        else:
            with _told(table):
                content, notes = _samples(table, stated, named, id_of)
        packed = _packed(to, content)
        with _told(sources[0]):
            measured = _read_back(to, packed)
        write_whole(to, packed)
        tell({"converted": True, **_answer(to, packed, measured), **notes}, "table")
        _note_of_size(to, packed)


def _table_of(source: Path) -> Path | None:
    """The file with rows that is meant; None: a metric file."""
    from sluice.cli.convert import arrow, mlflow  # noqa: PLC0415 - see the package

    if source.is_dir():
        found = mlflow.table_in(source)
        if found is None:
            files = mlflow.metrics_in(source)
            told = f"; there are metric files, which you may name: {', '.join(map(str, files[:_SHOWN]))}" if files else ""
            raise click.UsageError(f"{source} has no table of an evaluation (*{mlflow.TABLE}, in it or in its artifacts/){told}")
        return found
    with source.open("rb") as file:
        begin = file.read(_MAGIC_BYTES)
    return source if arrow.recognises(begin) or begin.lstrip().startswith(b"{") else None


def _samples(path: Path, stated: JsonObject, named: Mapping[str, str], id_of: Sequence[str]) -> tuple[bytes, JsonObject]:
    from sluice.cli.convert.samples import CannotChoose, choose, lines_of  # noqa: PLC0415 - see the package
    from sluice.evidence.harness.scored_samples import FORMAT  # noqa: PLC0415

    with _opened(path) as table:
        header = {"format": FORMAT, **_header(path, table.header, stated)}
        try:
            chosen = choose(table.columns, named=named, id_of=id_of)
        except CannotChoose as error:
            raise click.UsageError(f"{path}: {error}") from None
        lines = lines_of(table, chosen, header)
        left_out: list[JsonValue] = [column for column in table.columns if column not in chosen.columns]
    without: list[JsonValue] = [f"{name} {count:,}" for name, count in sorted(lines.without.items())]
    return lines.content, {"answers": lines.rows, "leftOut": left_out[:_SHOWN], "withoutSlice": without[:_SHOWN]}


@contextmanager
def _opened(path: Path) -> Iterator[Table]:
    from sluice.cli.convert import arrow, mlflow  # noqa: PLC0415 - see the package

    with path.open("rb") as file:
        begin = file.read(_MAGIC_BYTES)
        if not arrow.recognises(begin):
            file.seek(0)
            yield mlflow.JsonTable(file.read(mlflow.TABLE_BYTES + 1))
            return
    try:
        with arrow.opened(path) as table:
            yield table
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        raise click.UsageError(f"{path} is Parquet or Arrow, which pyarrow reads: install sluice[arrow], or pyarrow beside it") from None


def _header(path: Path, kept: bytes | None, stated: JsonObject) -> JsonObject:
    """What is said of the run: in the file, and by options, which have to agree."""
    from sluice.cli.convert.arrow import HEADER_KEY  # noqa: PLC0415 - see the package
    from sluice.provenance.errors import Reason  # noqa: PLC0415
    from sluice.provenance.strict_json import parse_object  # noqa: PLC0415

    entry = f"entry {HEADER_KEY.decode()!r} of the metadata"
    said: JsonObject = {} if kept is None else parse_object(kept, what=entry, limit=1 << 16, reason=Reason.RawResultMalformed)
    for key, value in stated.items():
        if said.get(key, value) != value:
            raise click.UsageError(
                f"{path}: --{re.sub('D', '-d', key)} says {json.dumps(value)}, and {entry} has {json.dumps(said[key])}: omit the option, or correct the file"
            )
    return _whole({**said, **stated}, f"{path}")


def _whole(said: JsonObject, what: str) -> JsonObject:
    """Raise UsageError for what nobody has said."""
    if missing := [why for key, why in _WHY.items() if key not in said]:
        raise click.UsageError("\n  ".join((f"{what} does not say all that is needed. Add", *missing)))
    return said


def _metrics(sources: Sequence[Path], stated: JsonObject, *, step: int | None) -> tuple[bytes, JsonObject]:
    from sluice.cli.convert import mlflow  # noqa: PLC0415 - see the package
    from sluice.evidence.harness.plain_metrics import FORMAT  # noqa: PLC0415

    whole = _whole(stated, f"{sources[0]}: an MLflow metric file holds a time, a value and a step, and")
    cases, metrics = whole["cases"], []
    for source in sources:
        with _told(source):
            if source.is_dir() or _table_of(source) is not None:
                raise click.UsageError(f"{source} is no metric file, as {sources[0]} is: convert it by itself")
            metrics.append({"name": mlflow.metric_name(source), "value": mlflow.metric_value(source, step=step), "samples": cases})
    document = {"format": FORMAT, **whole, "cases": {"planned": cases, "evaluated": cases}, "metrics": metrics}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n", {}


def _packed(to: Path, content: bytes) -> bytes:
    """The same bytes always come to the same file: it is named by its digest."""
    if to.suffix == ".gz":
        return gzip.compress(content, mtime=0)
    if to.suffix == ".zst":
        from backports.zstd import compress  # noqa: PLC0415 - see the package

        return compress(content)
    return content


def _read_back(to: Path, packed: bytes) -> tuple[Measurement, ...]:
    """Read it as the cluster will. Raises ProvenanceError, with the row where the reader names a line."""
    from sluice.evidence.harness.raw import read_raw  # noqa: PLC0415 - see the package
    from sluice.provenance.errors import ProvenanceError, Reason, closed  # noqa: PLC0415

    try:
        with closed(Reason.RawResultMalformed, "nothing can be computed from it"):
            return read_raw(to.name, packed)
    except ProvenanceError as error:
        # The header is line 1.
        told = re.sub(r"^line (\d+)", lambda found: f"row {int(found[1]) - 1}" if found[1] != "1" else "the header", str(error))
        remedy = "; convert a run that answered all of them" if error.reason is Reason.RunIncomplete else ""
        raise ProvenanceError(error.reason, told + remedy) from None


def _answer(to: Path, packed: bytes, measured: Sequence[Measurement]) -> JsonObject:
    from sluice.provenance.digests import sha256_of  # noqa: PLC0415 - see the package

    whole = [each for each in measured if not each.slice]
    slices: list[JsonValue] = list(dict.fromkeys(each.slice for each in measured if each.slice))
    return {
        "file": str(to), "digest": sha256_of(packed), "bytes": len(packed), "suite": whole[0].suite, "cases": whole[0].samples,
        "metrics": [f"{each.metric} {each.value:.6g}" + (f" ± {each.stderr:.2g}" if each.stderr is not None else "") for each in whole],
        "slices": slices[:_SHOWN],
    }  # fmt: skip


def _note_of_size(to: Path, packed: bytes) -> None:
    from sluice.api.evidence import ATTACHMENT_BASE64_LIMIT  # noqa: PLC0415 - see the package

    most = ATTACHMENT_BASE64_LIMIT // 4 * 3
    if len(packed) > most:
        smaller = "" if to.suffix == ".zst" else f"; write it compressed, as {to.name}.zst"
        click.echo(f"note: a ReleaseEvidence takes {most:,} bytes of a file, and this has {len(packed):,}{smaller}", err=True)


@contextmanager
def _told(source: Path) -> Iterator[Any]:
    """Name the file that something was said about."""
    from sluice.provenance.errors import ProvenanceError  # noqa: PLC0415 - see the package

    try:
        yield
    except ProvenanceError as error:
        raise ProvenanceError(error.reason, f"{source}: {error}") from None
