"""A ScoringSuite from a file, as commands at a desk take it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from sluice.api.scoring import SuiteSpec

SUITE_BYTES: Final = 2 << 20


class SuiteFileRefused(click.ClickException):
    """A file that holds no suite that can be used."""

    exit_code = 2


def read_suite(path: Path) -> SuiteSpec:
    """Read the spec of the suite in a manifest. Raises SuiteFileRefused, OSError."""
    import yaml  # noqa: PLC0415 - see the package

    from sluice.api.scoring import SuiteSpec  # noqa: PLC0415
    from sluice.decision.reading import Unreadable, read  # noqa: PLC0415

    with path.open("rb") as file:
        content = file.read(SUITE_BYTES + 1)
    if len(content) > SUITE_BYTES:
        raise SuiteFileRefused(f"{path}: longer than {SUITE_BYTES:,} bytes")
    try:
        manifest = yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise SuiteFileRefused(f"{path}: no YAML: {' '.join(str(error).split())[:300]}") from None
    if not isinstance(manifest, dict) or manifest.get("kind") != "ScoringSuite":
        raise SuiteFileRefused(f"{path}: this is no ScoringSuite; write `kind: ScoringSuite` and its spec")
    spec = read(SuiteSpec, manifest)
    if isinstance(spec, Unreadable):
        raise SuiteFileRefused(f"{path}: {spec}")
    return spec
