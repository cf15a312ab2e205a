"""The account that a person has at a registry: what `docker login` left, in a file or with the program that keeps passwords.

The same places and the same order as Docker's own client: `credHelpers` of the registry, else `auths`, else `credsStore`. A person who is not logged in asks
without an account, as for anything public.

Limits: one file, `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`; accounts that are identity tokens are refused with a word about it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sluice.cli.verify import CannotTell

if TYPE_CHECKING:
    from sluice.cluster.registry_login import Credentials

HELPER_SECONDS: Final = 30.0
"""A keychain may ask its owner."""
_CONFIG_BYTES: Final = 1 << 20
_HELPER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_IDENTITY_TOKEN: Final = "<token>"  # noqa: S105 - the name that helpers give instead of a user's


def account_at(host: str, *, variables: Mapping[str, str] | None = None) -> Credentials | None:
    """The account at `host` (`registry.example.com`, or with its port); None when there is none. Raises CannotTell for one that cannot be used, and OSError."""
    environment = os.environ if variables is None else variables
    path = Path(environment.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    if not path.exists():
        return None
    configuration = _read(path)
    helpers = configuration.get("credHelpers")
    if isinstance(helpers, dict) and (helper := helpers.get(host)):
        return _ask(helper, host, path)
    kept = _kept(configuration, host, path)
    if kept is not None:
        return kept
    store = configuration.get("credsStore")
    return _ask(store, host, path) if store else None


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        raw = file.read(_CONFIG_BYTES + 1)
    try:
        configuration = json.loads(raw) if len(raw) <= _CONFIG_BYTES else None
    except (ValueError, RecursionError):
        configuration = None
    if not isinstance(configuration, dict):
        raise CannotTell(f"{path}: this is no Docker configuration")
    return configuration


def _kept(configuration: dict[str, Any], host: str, path: Path) -> Credentials | None:
    """The account in the file itself. An entry without one says that `credsStore` has it."""
    from sluice.cluster.registry_login import parse_docker_configuration  # noqa: PLC0415 - see the package

    auths = configuration.get("auths")
    for name, entry in auths.items() if isinstance(auths, dict) else ():
        if not isinstance(entry, dict) or not entry.get("auth"):
            continue
        try:
            found = parse_docker_configuration(json.dumps({"auths": {name: {"auth": entry["auth"]}}}).encode()).get(host)
        except ValueError:
            raise CannotTell(f"{path}: the account at {name[:200]!r} cannot be read; log in again") from None
        if found is not None:
            return found
    return None


def _ask(helper: object, host: str, path: Path) -> Credentials | None:
    """Ask the program that keeps passwords (docker-credential-helpers: `get`, the registry on standard input, JSON back). One that knows none ends with 1."""
    if not isinstance(helper, str) or not _HELPER.fullmatch(helper):
        raise CannotTell(f"{path}: {str(helper)[:64]!r} is no name of a credential helper")
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run([program, "get"], input=host.encode(), capture_output=True, timeout=HELPER_SECONDS, check=False)  # noqa: S603 - no shell; the user's own configuration names the program
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotTell(f"{path} names {program}, which does not answer ({type(error).__name__})") from None
    if done.returncode != 0:
        return None
    try:
        answer = json.loads(done.stdout[:_CONFIG_BYTES])
        user, password = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        raise CannotTell(f"{program} answers something that is no account") from None
    if user == _IDENTITY_TOKEN:
        raise CannotTell(f"{program} has an identity token for {host}, which is not supported; log in with user and password")
    return user, password
