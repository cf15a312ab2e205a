"""Whether what was started answers yet, asked in this process: asking ten times a second must cost next to nothing."""

import json
import ssl
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Any

from e2e.cluster.pki import NODE_NAME
from e2e.cluster.place import Place

ANSWER_SECONDS = 5


def answers(url: str) -> bool:
    """Whether a plain HTTP server of the cluster says 200."""
    return _get(url, context=None) is not None


class ApiServer:
    """The API server as its administrator asks it; reads only."""

    def __init__(self, place: Place) -> None:
        """Read the administrator's certificate."""
        self._url = place.api
        self._context = ssl.create_default_context(cafile=place.pki / "ca.crt")
        self._context.load_cert_chain(place.pki / "admin.crt", place.pki / "admin.key")

    def ready(self) -> bool:
        """Whether every part of the API server is."""
        return _get(f"{self._url}/readyz", context=self._context) == b"ok"

    def node_ready(self) -> bool:
        """Whether the node is Ready."""
        node = self._read(f"/api/v1/nodes/{NODE_NAME}") or {}
        conditions = node.get("status", {}).get("conditions", [])
        return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)

    def accounts_exist(self) -> bool:
        """Whether the controller manager makes service accounts; without one no Pod is admitted."""
        return self._read("/api/v1/namespaces/default/serviceaccounts/default") is not None

    def _read(self, path: str) -> dict[str, Any] | None:
        content = _get(self._url + path, context=self._context)
        return None if content is None else dict(json.loads(content))


def _get(url: str, *, context: ssl.SSLContext | None) -> bytes | None:
    # The addresses are the cluster's own: a proxy from the environment has no business there.
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if context is not None:
        handlers.append(urllib.request.HTTPSHandler(context=context))
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=ANSWER_SECONDS) as response:
            content: bytes = response.read()
            return content if response.status == HTTPStatus.OK else None
    except (OSError, urllib.error.URLError):
        return None
