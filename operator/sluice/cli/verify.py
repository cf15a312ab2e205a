"""`sluice verify …`: whether this is what somebody whom I trust has signed.

What the commands of this group share: how an answer is printed, and the exit codes 0 verified, 1 not verified, 2 usage, 3 could not tell. A script that sees
anything but 0 has no proof; 3 says that trying again may help. Nothing but `answering` ends a command, so that no error is taken for another one.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from sluice.cli.answers import as_text
from sluice.cli.loaded import Loaded

if TYPE_CHECKING:
    from sluice.api.strict_json import JsonValue

VERIFIED: Final = 0
NOT_VERIFIED: Final = 1
USAGE: Final = 2
UNKNOWN: Final = 3

OUTPUT: Final = click.option(
    "-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True, help="How to print the answer."
)

log = logging.getLogger(__name__)


@click.group(
    cls=Loaded,
    places={
        "bundle": "verify_bundle.verify_bundle_file",
        "image": "verify_image.verify_image",
        "model": "verify_model.verify_model",
        "record": "verify_record.verify_record",
        "release": "verify_release.verify_release",
    },
)
def verify() -> None:
    """Verify signatures, of files or of what is on a cluster.

    \b
    Ends with  0  verified: somebody whom you named has signed exactly this
               1  not verified; the reason is printed
               2  usage: options, or a file of trust that cannot be used
               3  could not tell: something cannot be read or reached
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph


class BadTrust(click.ClickException):
    """Keys, certificates or a trust root that cannot be used: nothing was verified with them."""

    exit_code = USAGE


class CannotTell(click.ClickException):
    """Something could not be read or reached, so that there is no answer."""

    exit_code = UNKNOWN


@contextmanager
def answering(output: str, *, what: str = "verified") -> Iterator[None]:
    """Turn what the enclosed code raises into an answer and an exit code; `what` is what was to become true.

    ProvenanceError is the answer "not verified", printed as `output` says. What cannot be read or was not foreseen is no answer; Python itself would end
    with 1, which is one.
    """
    from sluice.provenance.errors import ProvenanceError  # noqa: PLC0415 - see the package

    try:
        yield
    except ProvenanceError as error:
        tell({what: False, "reason": error.reason.value, "message": str(error), **_files(error)}, output)
        sys.exit(NOT_VERIFIED)
    except OSError as error:
        raise CannotTell(f"{error.filename or 'a file'}: {error.strerror or error}") from error
    except (click.exceptions.Exit, click.ClickException, click.Abort):
        raise
    except Exception:
        log.exception("the verification broke off")
        sys.exit(UNKNOWN)


def _files(error: Exception) -> dict[str, JsonValue]:
    """The files that are not what was signed, as far as they are told one by one."""
    from sluice.provenance.model_verification import FilesRefused, printable  # noqa: PLC0415 - see the package

    if not isinstance(error, FilesRefused):
        return {}
    return {"files": [{"name": printable(each.name), "fault": each.fault.value} for each in error.faults], "fileCount": error.count}


def tell(answer: Mapping[str, JsonValue], output: str) -> None:
    """Print an answer: whether it is `verified` (or `signed`) first, then what is known, one line for each member or entry of a list.

    At once, so that who reads the first line only has let the others pass, too. Raises CannotTell: nobody takes it.
    """
    text = as_text(dict(answer), output) if output in {"json", "yaml"} else "\n".join(lines(answer))
    try:
        click.echo(text)
    except OSError as error:
        raise CannotTell(f"the answer cannot be printed: {error.strerror}") from error


def lines(answer: Mapping[str, Any]) -> Iterator[str]:
    """The answer for people. What strangers wrote is shown without control characters."""
    what, done = next(iter(answer.items()))
    head = what if done else f"NOT {what.upper()}"
    reason = answer.get("reason")
    yield f"{head} ({reason})" if reason else head
    for name, value in answer.items():
        if name in {what, "reason"} or value in (None, [], {}):
            continue
        if isinstance(value, list):
            yield from (f"  {name:<22} {' '.join(map(plain, each.values())) if isinstance(each, dict) else plain(each)}" for each in value)
        elif isinstance(value, dict):
            yield from (f"  {name + '.' + key:<22} {plain(each)}" for key, each in value.items() if each is not None)
        else:
            yield f"  {name:<22} {plain(value)}"


def plain(value: object) -> str:
    """Return text as it is, and anything else as JSON, without what would move a terminal's cursor."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join(character if character.isprintable() else "?" for character in text)
