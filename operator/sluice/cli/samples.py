"""Samples of a run as files: those that are files, and those in a bucket, fetched with the credentials of the person who asks.

Only what the command line names is fetched, never what a run says about itself: who wrote the run must not choose where credentials are shown.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

BUCKET: Final = "s3://"


class SamplesUnavailable(click.ClickException):
    """There are no such samples, or they cannot be fetched."""

    exit_code = 2


@contextmanager
def files_of(given: Sequence[str]) -> Iterator[tuple[Path, ...]]:
    """Give the files; what was fetched is gone at the end. Raises SamplesUnavailable."""
    with tempfile.TemporaryDirectory(prefix="sluice-samples-") as folder:
        yield tuple(_fetched(text, Path(folder) / str(number)) if text.startswith(BUCKET) else _file(text) for number, text in enumerate(given))


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise SamplesUnavailable(f"{text[:200]}: there is no such file; samples are a file, or an object s3://BUCKET/KEY")
    return path


def _fetched(text: str, to: Path) -> Path:
    from sluice.cluster.aws_account import Account, NoAccount  # noqa: PLC0415 - see the package
    from sluice.cluster.bucket import Bucket, BucketRefused, fetch  # noqa: PLC0415
    from sluice.cluster.registry_login import tls_trusting  # noqa: PLC0415
    from sluice.scoring.samples import RUN_BYTES  # noqa: PLC0415

    authorities = os.environ.get("AWS_CA_BUNDLE")
    try:
        tls = tls_trusting(Path(authorities)) if authorities else None
        place = Bucket.parse(text, endpoint="", region="", account=Account.found(), tls=tls)
        to.write_bytes(asyncio.run(fetch(place, limit=RUN_BYTES)))
    except (NoAccount, BucketRefused, ValueError, OSError) as error:
        raise SamplesUnavailable(f"{text[:200]}: {error}") from None
    return to
