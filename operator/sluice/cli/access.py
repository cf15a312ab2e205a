"""How a command reaches the cluster that is meant, and what it says when it does not.

Wherever a command goes to a cluster, it goes through `connected`: settings that lead nowhere, a server that is silent and one that refuses are told apart the
same way by all of them. `Unknown` ends with 3, since trying again may help; `Refused` with 1.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from sluice.cluster.client import ApiClient

_KINDS: Final = {"mr", "modelrelease", "modelreleases", "modelrelease.sluice.dev"}
_OBJECT_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Which cluster is meant, and as whom: as kubectl takes it from the same two options."""

    kubeconfig: Path | None
    context: str | None


class Refused(click.ClickException):
    """The answer is no."""

    exit_code = 1


class Unknown(click.ClickException):
    """It could not be told."""

    exit_code = 3


def cluster_options(command: F) -> F:
    """Add the options that `Access` is made of."""
    for option in (
        click.option("--kubeconfig", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Path of the kubeconfig file."),
        click.option("--context", help="Context in the kubeconfig."),
    ):
        command = option(command)
    return command


def release_name(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Accept `mr/NAME`, `modelrelease/NAME` and `NAME`."""
    kind, slash, name = value.rpartition("/")
    if kind.lower() not in _KINDS and (slash or Path(value).suffix in {".yaml", ".yml", ".json"}) and Path(value).exists():
        message = f"{value!r} is a file or folder; give manifests with -f, and name a ModelRelease: mr/NAME"
        raise click.BadParameter(message)
    if slash and kind.lower() not in _KINDS:
        message = f"{value!r} is a {kind or 'path'}; name a ModelRelease: mr/NAME"
        raise click.BadParameter(message)
    if not name:
        message = f"{value!r} names no release; write mr/NAME"
        raise click.BadParameter(message)
    return name


def object_name(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Accept what may be the name of an object (RFC 1123), so that the API server does not refuse it only later."""
    if value is not None and not _OBJECT_NAME.fullmatch(value):
        message = f"{value!r}: a name has lower-case letters, digits, - and . only, begins and ends with a letter or digit, and has at most 253"
        raise click.BadParameter(message)
    return value


@asynccontextmanager
async def connected(access: Access) -> AsyncIterator[ApiClient]:
    """Yield a client of the cluster. Raises Unknown when no settings lead to one; what the API server answers is up to the caller."""
    from sluice.cluster.client import ApiClient  # noqa: PLC0415 - see the package
    from sluice.cluster.connection import Connection, NoCluster  # noqa: PLC0415

    try:
        connection = Connection.load(kubeconfig=access.kubeconfig, context=access.context)
    except NoCluster as error:
        raise Unknown(str(error)) from error
    async with ApiClient(connection) as client:
        yield client
