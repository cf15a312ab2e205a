"""Kubernetes events (`events.k8s.io/v1`): what `kubectl describe` shows about an object under "Events".

They are for people and vanish after an hour: nothing reads them back, and work never fails because one could not be written.
"""

from __future__ import annotations

import logging
import secrets
from datetime import UTC, datetime
from typing import Final, Literal

from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import ApiError
from sluice.cluster.resource import EVENTS

NOTE_LIMIT: Final = 1024
"""Bytes of text that the API server takes in `note`."""

log: Final = logging.getLogger(__name__)


def event_about(
    obj: Object, *, type_: Literal["Normal", "Warning"], reason: str, action: str, note: str, controller: str, instance: str, now: datetime
) -> Object:
    """Make the event: `reason` (why) and `action` (what was done) are CamelCase codes of at most 128 characters."""
    metadata = obj["metadata"]
    text = note.encode()
    regarding = {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": metadata["name"],
        **{field: metadata[field] for field in ("namespace", "uid", "resourceVersion") if field in metadata},
    }
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        # Events about cluster-scoped objects live in `default`, as those of nodes do.
        "metadata": {"namespace": metadata.get("namespace", "default"), "name": f"{metadata['name'][:200]}.{secrets.token_hex(8)}"},
        "eventTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": controller,
        "reportingInstance": instance[:128],
        "type": type_,
        "reason": reason,
        "action": action,
        "note": note if len(text) <= NOTE_LIMIT else text[: NOTE_LIMIT - 3].decode(errors="ignore") + "…",
        "regarding": regarding,
    }


class EventRecorder:
    """Writes events in the name of one process. `controller` is a qualified name like `sluice.dev/controller`."""

    def __init__(self, client: ApiClient, *, controller: str, instance: str) -> None:
        self._client = client
        self._controller = controller
        self._instance = instance

    async def record(self, obj: Object, *, type_: Literal["Normal", "Warning"], reason: str, action: str, note: str) -> None:
        """Tell people about `obj`. A refusal of the API server is logged; only what the client's guard raises rises."""
        event = event_about(
            obj,
            type_=type_,
            reason=reason,
            action=action,
            note=note,
            controller=self._controller,
            instance=self._instance,
            now=datetime.now(UTC),
        )
        try:
            await self._client.create(EVENTS, event, event["metadata"]["namespace"])
        except ApiError as error:
            log.warning("event %s about %s was not written: %s", reason, event["metadata"]["name"], error)
