"""`sluice collect`: a container beside a model server that takes in samples of live answers, and shows them to the monitors of the release."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import secrets
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sluice.cli.address import Address

if TYPE_CHECKING:
    from sluice.scoring.collecting.server import CollectingServer

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_TAGS: Final = 16
_TAG_LENGTH: Final = 63

log: Final = logging.getLogger(__name__)


@click.command()
@click.option("--push", type=Address(), default="127.0.0.1:9001", show_default=True, help="Where samples are pushed, POST /.")
@click.option("--push-token-file", type=_FILE, help="Token that who pushes has to show; needed where that is not the Pod's own loopback.")
@click.option("--listen", type=Address(), default="0.0.0.0:9000", show_default=True, help="Where monitors fetch them, GET /v1/samples.")
@click.option("--token-file", type=_FILE, required=True, help="Token that who fetches has to show: the one that the suite names in spec.protocol.auth.")
@click.option("--share", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True, help="Which share of all exchanges is drawn.")
@click.option("--per-second", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many exchanges are taken at most; more get 429.")
@click.option("--tag", "tags", multiple=True, help="Tag of exchanges that have none: `safe` for Refusal.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True, help="What is logged.")
def collect(
    *, push: tuple[str, int], push_token_file: Path | None, listen: tuple[str, int], token_file: Path, share: float, per_second: int, tags: tuple[str, ...],
    log_level: str,
) -> None:  # fmt: skip
    """Take in samples of what users asked and were answered, and show them to the monitors of the release (docs/monitors.md).

    \b
    Beside a model server whose logger sends CloudEvents to http://localhost:9001:
      sluice collect --token-file /etc/sluice-token/token --tag safe --share 0.1

    It knows no Kubernetes, keeps texts in memory only, for a day at most, and ends with 0 when it is told to.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from sluice.scoring.collecting.sample import Draw, Sample  # noqa: PLC0415 - see the package
    from sluice.scoring.collecting.server import CollectingServer, read_token  # noqa: PLC0415

    if push_token_file is None and not _is_loopback(push[0]):
        raise click.UsageError(
            f"--push {push[0]} is reached from elsewhere, so anybody could speak for this release: give --push-token-file, or a loopback address"
        )
    if len(tags) > _TAGS or any(not 0 < len(tag) <= _TAG_LENGTH for tag in tags):
        raise click.UsageError(f"--tag: at most {_TAGS} tags of 1 to {_TAG_LENGTH} characters")
    try:
        for path in (token_file, *([push_token_file] if push_token_file else [])):
            read_token(path)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    logging.basicConfig(stream=sys.stderr, level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    sample = Sample(Draw(share=share, per_second=per_second, tags=tags, salt=secrets.token_bytes(16)), now=datetime.now(UTC))
    try:
        asyncio.run(_serve(CollectingServer(sample, read_token=token_file, push_token=push_token_file), push, listen))
    except OSError as error:
        raise click.ClickException(str(error)) from None


async def _serve(server: CollectingServer, push: tuple[str, int], listen: tuple[str, int]) -> None:
    terminated = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, terminated.set)
    await server.start(push=push, read=listen)
    log.info("samples are pushed to %s:%d and fetched from %s:%d", push[0], server.push_port, listen[0], server.read_port)
    try:
        await terminated.wait()
    finally:
        await server.stop()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # What a name leads to is for others to say.
        return False
