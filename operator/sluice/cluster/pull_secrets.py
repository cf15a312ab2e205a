"""Credentials of a namespace for registries: out of the pull secrets that the installation names, and of no others.

The names are given to the installation, so that its rights end there: RBAC lets the controller read Secrets of these names only. What is in one is used for
the registry that it names, and not kept.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Sequence
from typing import Final

from sluice.cluster.client import ApiClient
from sluice.cluster.errors import Forbidden, NotFound
from sluice.cluster.registry_login import Credentials, parse_docker_configuration
from sluice.cluster.resource import SECRETS

_TYPE: Final = "kubernetes.io/dockerconfigjson"
_KEY: Final = ".dockerconfigjson"

log: Final = logging.getLogger(__name__)


async def credentials_for(client: ApiClient, namespace: str, host: str, *, names: Sequence[str]) -> Credentials | None:
    """Look for an account at `host` in the Secrets of these names, the first that has one; None when none has. Raises `ApiError` for what may work later."""
    for name in names:
        try:
            secret = await client.get(SECRETS.path(namespace, name))
        except NotFound:
            continue
        except Forbidden as error:
            log.warning("the pull secret %s/%s cannot be read: %s", namespace, name, error.reason)
            continue
        if secret.get("type") != _TYPE:
            continue
        try:
            found = parse_docker_configuration(base64.b64decode((secret.get("data") or {}).get(_KEY, ""), validate=True)).get(host)
        except (ValueError, binascii.Error):
            log.warning("the pull secret %s/%s is no Docker configuration", namespace, name)
            continue
        if found is not None:
            return found
    return None
