"""A ScoringSuite from a file, as commands at a desk take it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from sluice.api.scoring import SuiteSpec

SUITE_BYTES: Final = 2 << 20


class SuiteFileRefused(click.ClickException):
    """A file that holds no suite that can be used."""

    exit_code = 2


def read_suite(path: Path) -> SuiteSpec:
    """Read the spec of the suite in a manifest. Raises SuiteFileRefused, OSError."""
    return _read(path)[1]


def read_named_suite(path: Path) -> tuple[str, SuiteSpec]:
    """Read its name, too. Raises SuiteFileRefused, OSError."""
    manifest, spec = _read(path)
    name = (manifest.get("metadata") or {}).get("name")
    if not isinstance(name, str) or not name:
        raise SuiteFileRefused(f"{path}: the suite has no name; write metadata.name, as it is on the cluster")
    return name, spec


def _read(path: Path) -> tuple[dict[str, Any], SuiteSpec]:
    from sluice.api.scoring import SuiteSpec  # noqa: PLC0415 - see the package
    from sluice.cli.manifests import ManifestRefused, only  # noqa: PLC0415
    from sluice.decision.reading import Unreadable, read  # noqa: PLC0415

    try:
        manifest = only(path, "ScoringSuite", most_bytes=SUITE_BYTES, remedy="write `kind: ScoringSuite` and its spec")
    except ManifestRefused as refused:
        raise SuiteFileRefused(str(refused)) from None
    spec = read(SuiteSpec, manifest)
    if isinstance(spec, Unreadable):
        raise SuiteFileRefused(f"{path}: {spec}")
    return manifest, spec
