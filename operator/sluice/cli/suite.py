"""`sluice suite`: look at a suite and its cases before anybody is asked, and pack cases for a registry.

Nothing here needs a cluster or a network. Pushing is left to the tools that have the credentials: crane, skopeo, oras.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sluice.cli.suite_file import read_suite

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sluice.api.scoring import SuiteSpec
    from sluice.scoring.case import Case

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_SHOWN: Final = 20
"""Faults that are told one by one."""


class _Refused(click.ClickException):
    """Files or flags that cannot be followed."""

    exit_code = 2


@click.group()
def suite() -> None:
    """Look at a suite and its cases, and pack cases for a registry."""


@suite.command()
@click.argument("suite_file", type=_FILE, metavar="SUITE.yaml")
@click.option("--cases", "cases_file", type=_FILE, help="Cases, JSON Lines. Not needed for a suite that holds its own.")
def check(suite_file: Path, cases_file: Path | None) -> None:
    """Say what is wrong with a suite and its cases, line by line, and what each scorer would be asked about.

    \b
      sluice suite check suite.yaml
      sluice suite check suite.yaml --cases cases.jsonl

    It ends with 0 when candidate and baseline can be compared on it, with 1 when something is wrong, and with 2 when there is no suite in the file.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from sluice.api.digests import cases_digest, suite_digest  # noqa: PLC0415 - see the package
    from sluice.scoring.case import Case  # noqa: PLC0415
    from sluice.scoring.cases import look_through  # noqa: PLC0415
    from sluice.scoring.interpret import SuiteRefused, limits_of, metrics_of, protocol_of  # noqa: PLC0415
    from sluice.scoring.suite import check_fits, reach  # noqa: PLC0415

    spec = read_suite(suite_file)
    if spec.cases.recorded is not None:
        raise click.UsageError("the suite counts recorded pairs, which `sluice sign pairs` looks at; it has no cases of its own")
    raw = _cases(spec, cases_file)
    faults: list[str] = []
    fitting: list[Case] = []
    read = 0
    try:
        protocol, metrics = protocol_of(spec.protocol), metrics_of(spec.scorers)
        limits_of(spec.protocol)
    except SuiteRefused as error:
        click.echo(f"wrong   {suite_file}: {error}")
        sys.exit(1)
    for case in look_through(raw):
        if not isinstance(case, Case):
            faults.append(str(case))
            continue
        read += 1
        try:
            check_fits(case, protocol, metrics)
            fitting.append(case)
        except SuiteRefused as error:
            faults.append(str(error))
    digest = "sha256:" + hashlib.sha256(raw).hexdigest()
    if digest != cases_digest(spec.cases):
        faults.append(f"the file of cases is {digest}, and the suite names {cases_digest(spec.cases)}: write the digest of this file, or give the other file")
    if spec.cases.oci is not None and not faults and spec.cases.oci.count != read:
        faults.append(f"cases.oci.count is {spec.cases.oci.count:,}, and there are {read:,} cases: write count: {read}")
    click.echo(f"suite   {suite_digest(spec)}\ncases   {digest}: {read:,}, {len(raw):,} bytes")
    reached = reach(metrics, fitting)
    for name, cases in sorted(reached.items()):
        click.echo(f"scorer  {name}: {cases:,} cases")
    for name, count in _slices(spec, fitting):
        click.echo(f"slice   {name}: {count:,} cases")
    if not faults and not any(reached[name] for name in (*metrics.scorers, *metrics.pair_scorers, *metrics.timings, *metrics.remotes)):
        faults.append("no scorer compares candidate and baseline on any case")
    _end(faults)


@suite.command()
@click.option("--cases", "cases_file", type=_FILE, help="Cases, JSON Lines.")
@click.option("--pairs", "pairs_file", type=_FILE, help="Instead: recorded pairs, JSON Lines.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Folder to write the image into (an OCI image layout); it must not exist.")
@click.option("--repository", default="registry.example.com/cases", show_default=True, help="Where it will be pushed, for the lines that are printed.")
def pack(cases_file: Path | None, pairs_file: Path | None, output: Path, repository: str) -> None:
    """Pack cases as an image that nodes fetch by digest, and print what to write into the suite; or recorded pairs, for `sluice sign pairs`.

    The same file always gives the same digest. Push it with a tool that leaves it as it is:

    \b
      crane push FOLDER REPOSITORY:TAG
      skopeo copy --preserve-digests oci:FOLDER docker://REPOSITORY:TAG
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from sluice.scoring.cases_image import layout_of  # noqa: PLC0415

    if cases_file is not None and pairs_file is None:
        raw, words = _of_cases(cases_file)
    elif pairs_file is not None and cases_file is None:
        raw, words = _of_pairs(pairs_file)
    else:
        raise click.UsageError("give --cases, or --pairs")
    layout = layout_of(raw)
    try:
        output.mkdir(parents=True)
    except FileExistsError:
        raise _Refused(f"{output} exists already; name a new folder") from None
    for name, content in layout.files.items():
        path = output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    click.echo(words.format(reference=f"{repository}@{layout.digest}"))


def _of_cases(path: Path) -> tuple[bytes, str]:
    """The bytes, and what to write into the suite."""
    from sluice.scoring.cases import FILE_BYTES, CasesRefused, read_cases  # noqa: PLC0415

    raw = _read(path, FILE_BYTES)
    try:
        cases = read_cases(raw)
    except CasesRefused as error:
        raise _Refused(f"{path}: {error}") from None
    return raw, f"cases:\n  oci:\n    reference: {{reference}}\n    digest: {cases.digest}\n    count: {cases.count}"


def _of_pairs(path: Path) -> tuple[bytes, str]:
    """The same of recorded pairs, which are read when they are signed."""
    from sluice.scoring.replay.pairs import PINNED  # noqa: PLC0415

    raw = _read(path, PINNED.size)
    if len(raw) > PINNED.size:
        raise _Refused(f"{path}: longer than the {PINNED.size >> 20} MiB that a scorer reads; take a random part of the requests")
    return raw, "sluice sign pairs --reference {reference}"


def _cases(spec: SuiteSpec, cases_file: Path | None) -> bytes:
    from sluice.scoring.cases import FILE_BYTES  # noqa: PLC0415

    if cases_file is not None:
        return _read(cases_file, FILE_BYTES)
    if spec.cases.inline is None:
        raise click.UsageError("the suite keeps its cases elsewhere; fetch them and give the file with --cases")
    return spec.cases.inline.encode()


def _slices(spec: SuiteSpec, cases: Iterable[Case]) -> Iterator[tuple[str, int]]:
    counts = Counter(f"{dimension}={case.slices[dimension]}" for case in cases for dimension in spec.slices if dimension in case.slices)
    yield from sorted(counts.items())


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        # One byte more tells the reader that it is too large.
        return file.read(limit + 1)


def _end(faults: list[str]) -> None:
    for fault in faults[:_SHOWN]:
        click.echo(f"wrong   {fault}")
    if len(faults) > _SHOWN:
        click.echo(f"wrong   … and {len(faults) - _SHOWN:,} more")
    sys.exit(1 if faults else 0)
