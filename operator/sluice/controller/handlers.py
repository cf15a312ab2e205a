"""What kopf tells us: that a release, or a workload that names one, is there or changed. Each handler names a key and nothing else.

Only `on.event`: such handlers write nothing to the objects, add no finalizer and keep no state in annotations that others could write.
kopf runs in a thread and an event loop of its own, because it cancels every task of its loop when it ends.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

import kopf

from sluice.api.names import CANARY_LABEL, GROUP, RELEASE_LABEL, SCHEDULING_GATE, VERSION
from sluice.cluster.connection import Connection
from sluice.cluster.resource import CANARY_RUNS, DEPLOYMENTS, MONITORS, PODS, RELEASES
from sluice.controller.work import Item
from sluice.decision.records import Key
from sluice.rollout.owners import releases_of
from sluice.rollout.probe_job import MONITOR_ANNOTATION
from sluice.rollout.stand_in import INSTEAD_OF

_INACTIVITY_SECONDS: Final = 70.0
"""kopf takes a watch that is silent for longer as broken."""

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")

log: Final = logging.getLogger(__name__)

HandOver = Callable[[Item], None]
"""Takes a key from kopf's thread."""


def registry_of(hand_over: HandOver, connection: Connection) -> kopf.OperatorRegistry:
    """Return the handlers."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**_: object) -> kopf.ConnectionInfo:
        """The credentials that our own client has. After a 401 kopf asks again, and a rotated token is read anew."""
        found = connection.configuration
        token = found.get_api_key_with_prefix("BearerToken")
        return kopf.ConnectionInfo(
            server=connection.server,
            ca_path=found.ssl_ca_cert,
            insecure=not found.verify_ssl,
            scheme="Bearer" if token else None,
            # A Pod's token comes with "bearer" before it, in whatever case, and a newline after it.
            token=token.split()[-1] if token else None,
            certificate_path=found.cert_file,
            private_key_path=found.key_file,
        )

    @kopf.on.event(GROUP, VERSION, RELEASES.plural, registry=registry)
    async def release_seen(*, namespace: str | None, name: str | None, **_: object) -> None:
        hand_over(Item(RELEASES.kind, Key(namespace=namespace or "", name=name or "")))

    @kopf.on.event("", "v1", PODS.plural, labels={RELEASE_LABEL: kopf.PRESENT}, registry=registry)
    async def pod_of_a_release_seen(*, namespace: str | None, labels: Mapping[str, str], **_: object) -> None:
        hand_over(Item(RELEASES.kind, Key(namespace=namespace or "", name=labels[RELEASE_LABEL])))

    @kopf.on.event("", "v1", PODS.plural, labels={CANARY_LABEL: kopf.PRESENT}, registry=registry)
    async def pod_of_a_run_seen(*, namespace: str | None, labels: Mapping[str, str], **_: object) -> None:
        hand_over(Item(CANARY_RUNS.kind, Key(namespace=namespace or "", name=labels[CANARY_LABEL])))

    @kopf.on.event("", "v1", PODS.plural, labels={CANARY_LABEL: kopf.PRESENT}, annotations={MONITOR_ANNOTATION: kopf.PRESENT}, registry=registry)
    async def pod_of_a_probe_seen(*, namespace: str | None, annotations: Mapping[str, str], **_: object) -> None:
        if monitor := _named(annotations, MONITOR_ANNOTATION):
            hand_over(Item(MONITORS.kind, Key(namespace=namespace or "", name=monitor)))

    @kopf.on.event("", "v1", PODS.plural, annotations={INSTEAD_OF: kopf.PRESENT}, registry=registry)
    async def pod_of_a_stand_in_seen(*, namespace: str | None, annotations: Mapping[str, str], **_: object) -> None:
        # Once it is ready, a Pod that may serve no more goes.
        if release := _named(annotations, INSTEAD_OF):
            hand_over(Item(RELEASES.kind, Key(namespace=namespace or "", name=release)))

    @kopf.on.event("", "v1", PODS.plural, labels={RELEASE_LABEL: kopf.ABSENT}, when=_held, registry=registry)
    async def other_held_pod_seen(*, namespace: str | None, name: str | None, **_: object) -> None:
        hand_over(Item(PODS.kind, Key(namespace=namespace or "", name=name or "")))

    @kopf.on.event(DEPLOYMENTS.group, DEPLOYMENTS.version, DEPLOYMENTS.plural, registry=registry)
    async def deployment_seen(*, namespace: str | None, body: kopf.Body, **_: object) -> None:
        for release in releases_of(dict(body)):
            hand_over(Item(RELEASES.kind, Key(namespace=namespace or "", name=release)))

    return registry


def _named(annotations: Mapping[str, str], name: str) -> str | None:
    """Give what an annotation names. Anybody may write one: what it names is looked at, nothing follows from it, and it goes into paths and selectors."""
    value = annotations.get(name, "")
    return value if _NAME.fullmatch(value) else None


def _held(*, spec: Mapping[str, Any], **_: object) -> bool:
    return any(gate.get("name") == SCHEDULING_GATE for gate in spec.get("schedulingGates") or ())


class Deliveries:
    """kopf, from `start()` to `stop()`. `on_end` is called in kopf's thread when it ends; `died` tells that nobody had asked it to."""

    def __init__(self, registry: kopf.OperatorRegistry, *, on_end: Callable[[], None]) -> None:
        self._registry = registry
        self._on_end = on_end
        self.died = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def stop(self, *, timeout_seconds: float) -> None:
        """End; waits until the thread has ended, or the time is over. Blocks."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        try:
            settings = kopf.OperatorSettings()
            settings.scanning.disabled = True
            settings.posting.enabled = False
            settings.watching.inactivity_timeout = _INACTIVITY_SECONDS
            # One line for each event and handler is noise: what was done is logged where it is done.
            for name in ("kopf", "kopf.objects"):
                logging.getLogger(name).setLevel(logging.WARNING)
            # It warns that signals are not its business in this thread; they are ours.
            logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
            operator = kopf.operator(registry=self._registry, settings=settings, standalone=True, clusterwide=True, stop_flag=self._stop)
            asyncio.run(operator)
        except Exception:
            log.exception("kopf ended")
        finally:
            self.died = not self._stop.is_set()
            self._on_end()
