"""`sluice replay`: recorded traffic becomes cases that a ScoringSuite names by digest.

Secrets are replaced before anything is written. With a suite it says what its scorers can do with cases that nobody has written an answer for.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from sluice.api.strict_json import JsonObject
    from sluice.scoring.cases import Cases
    from sluice.scoring.compare import Metrics
    from sluice.scoring.protocols.settings import ProtocolSettings
    from sluice.scoring.replay.capture import Captured, Wanted
    from sluice.scoring.replay.redaction import Redactor

_CONFIG_MAP_BYTES: Final = 1 << 20
_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_NEW: Final = click.Path(dir_okay=False, path_type=Path)


class _Refused(click.ClickException):
    """Files or flags that cannot be followed."""

    exit_code = 2


def _named(_context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    """`region=/metadata/region` as name and value."""
    pairs = [text.partition("=") for text in value]
    for name, equals, rest in pairs:
        if not equals or not rest or not _NAME.fullmatch(name):
            raise click.BadParameter(f"{name}{equals}{rest!r} is not NAME=VALUE, with a name of letters, digits, '-', '_' and '.'", param=parameter)
    return {name: rest for name, _, rest in pairs}


@click.command()
@click.argument("recordings", nargs=-1, required=True, type=_FILE, metavar="RECORDING…")
@click.option("-o", "--output", type=_NEW, required=True, help="Where to write the cases, JSON Lines; the manifest goes beside it, as OUTPUT.manifest.json.")
@click.option("--cases", "number", type=click.IntRange(1, 1_000_000), default=2000, show_default=True, help="How many cases to draw at most.")
@click.option("--seed", type=click.IntRange(0, 2**53), default=0, show_default=True, help="Which sample is drawn; a larger one begins with the smaller.")
@click.option(
    "--slice", "slices", multiple=True, callback=_named, metavar="NAME=POINTER", help="Where in a line a slice stands: region=/metadata/region (RFC 6901)."
)
@click.option("--stratify", metavar="NAME", help="Draw as many of each value of this slice, as far as there are; default: as they come by.")
@click.option(
    "--tag", "tags", multiple=True, metavar="TAG", help="Give every case this tag, such as safe or unsafe, by which refusal scorers select. Repeatable."
)
@click.option(
    "--redact", multiple=True, callback=_named, metavar="NAME=EXPRESSION", help="Replace this, too: CUSTOMER='C-[0-9]{8}' (Python's syntax). Repeatable."
)
@click.option(
    "--key-file", type=_NEW, help="Key of the placeholders, made if it is not there; default: one that is forgotten, so no other recording has the same."
)
@click.option("--suite", "suite_file", type=_FILE, help="ScoringSuite manifest: leave out what it cannot ask, and say what its scorers can do with the rest.")
def replay(**flags: Any) -> None:  # noqa: ANN401 - click's options
    """Make cases of recorded traffic: drawn by a seed, each question once, without secrets.

    \b
    A thousand requests of each region, from what the gateway wrote:
      sluice replay monday.jsonl --slice region=/metadata/region --stratify region --suite suite.yaml -o cases.jsonl
    Into the cluster, for a suite with spec.cases.configMap:
      kubectl create configmap churn-replay --from-file=cases.jsonl

    Read are requests as OpenAI's API and the Open Inference Protocol have them, one JSON object a line, also in envelopes (docs/replay.md).
    Names and street addresses have no form that can be recognised: look at what comes out before others do.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from sluice.scoring.replay.capture import CaptureRefused, capture  # noqa: PLC0415 - see the package
    from sluice.scoring.replay.recording import Lines, RecordingRefused, read_recording  # noqa: PLC0415
    from sluice.scoring.replay.redaction import RedactionRefused  # noqa: PLC0415

    suite = None if flags["suite_file"] is None else _suite(flags["suite_file"])
    try:
        wanted, redactor = _wanted(flags), _redactor(flags)
        recording = read_recording(flags["recordings"], seed=wanted.seed, slices=wanted.slices, stratify=wanted.stratify)
        with Lines(flags["recordings"]) as lines:
            captured = capture(recording, lines.of, redactor, wanted, check=_check(suite), key_is_kept=flags["key_file"] is not None)
        cases = _write(flags["output"], captured)
    except (RecordingRefused, RedactionRefused, CaptureRefused) as error:
        raise _Refused(str(error)) from None
    except OSError as error:
        raise _Refused(f"{error.filename}: {error.strerror}") from None
    _tell(flags["output"], captured, None if suite is None else (suite[1], cases))


def _wanted(flags: dict[str, Any]) -> Wanted:
    from sluice.scoring.protocols.template import Pointer, TemplateError  # noqa: PLC0415 - see the package
    from sluice.scoring.replay.capture import Wanted  # noqa: PLC0415

    try:
        slices = {name: Pointer.parse(pointer) for name, pointer in flags["slices"].items()}
    except TemplateError:
        raise click.UsageError("--slice: write a JSON pointer behind the name, such as region=/metadata/region (RFC 6901)") from None
    if wrong := next((tag for tag in flags["tags"] if not _NAME.fullmatch(tag)), None):
        raise click.UsageError(f"--tag {wrong!r}: use at most 63 letters, digits, '-', '_' and '.', with a letter or digit at either end")
    return Wanted(cases=flags["number"], seed=flags["seed"], slices=slices, stratify=flags["stratify"], tags=flags["tags"])


def _redactor(flags: dict[str, Any]) -> Redactor:
    from sluice.scoring.replay.redaction import KEY_BYTES, Redactor  # noqa: PLC0415 - see the package

    path: Path | None = flags["key_file"]
    key = secrets.token_bytes(KEY_BYTES)
    if path is not None:
        try:
            # Readable for nobody else: whoever has it can try a list of secrets.
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(key)
        except FileExistsError:
            with path.open("rb") as file:
                key = file.read(1 << 12)
    return Redactor(key, further=flags["redact"])


def _suite(path: Path) -> tuple[ProtocolSettings, Metrics]:
    from sluice.cli.suite_file import read_suite  # noqa: PLC0415 - see the package
    from sluice.scoring.interpret import SuiteRefused, metrics_of, protocol_of  # noqa: PLC0415

    suite = read_suite(path)
    try:
        return protocol_of(suite.protocol), metrics_of(suite.scorers)
    except SuiteRefused as error:
        raise _Refused(f"{path}: {error}") from None


def _check(suite: tuple[ProtocolSettings, Metrics] | None) -> Any:  # noqa: ANN401 - a function; its types would be imported for nothing else
    from sluice.scoring.suite import check_fits  # noqa: PLC0415 - see the package

    return (lambda _case: None) if suite is None else (lambda case: check_fits(case, *suite))


def _write(path: Path, captured: Captured) -> Cases:
    from sluice.scoring.cases import read_cases  # noqa: PLC0415 - see the package

    cases = read_cases(captured.cases)
    beside = path.with_name(path.name + ".manifest.json")
    for target, content in ((path, captured.cases), (beside, (json.dumps(captured.manifest, indent=2, ensure_ascii=False) + "\n").encode())):
        partial = target.with_name(target.name + ".partial")
        partial.write_bytes(content)
        partial.replace(target)
    return cases


def _tell(path: Path, captured: Captured, scored: tuple[Metrics, Cases] | None) -> None:
    from sluice.cli.report.numbers import clean  # noqa: PLC0415 - see the package
    from sluice.scoring.suite import reach  # noqa: PLC0415

    manifest = captured.manifest
    drawn = _object(manifest["cases"])
    click.echo(f"{drawn['number']:,} cases of {manifest['requests']:,} requests, {drawn['digest']}")
    if manifest["alike"]:
        click.echo(f"{manifest['alike']:,} were asked before and are no case of their own")
    if replaced := _object(manifest["replaced"]):
        click.echo("replaced: " + ", ".join(f"{name} {count:,}" for name, count in replaced.items()))
    if strata := _object(manifest.get("strata")):
        click.echo("drawn by " + ", ".join(f"{clean(name, 64) or '(none)'} {count:,}" for name, count in _object(strata["cases"]).items()))
    if left_out := _object(manifest["leftOut"]):
        click.echo("left out: " + ", ".join(f"{reason} {count:,}" for reason, count in left_out.items()))
        for reason, example in sorted(captured.examples.items()):
            click.echo(f"  {reason}: {clean(example, 300)}", err=True)
    if scored is not None:
        metrics, cases = scored
        for name, count in reach(metrics, cases.all).items():
            click.echo(f"{name}: {count:,} of {len(cases.all):,} cases{'' if count else '; it needs what nobody has written for them'}")
    if len(captured.cases) > _CONFIG_MAP_BYTES:
        click.echo(f"{path.name} is larger than the 1 MiB that a ConfigMap holds: keep it in a registry (spec.cases.oci), or draw fewer", err=True)


def _object(value: object) -> JsonObject | Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
