"""Wires the webhook together and runs it until it is told to end."""

from __future__ import annotations

import asyncio
import logging
import signal
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sluice.api.names import WEBHOOK
from sluice.cluster.client import ApiClient
from sluice.cluster.connection import Connection
from sluice.cluster.feed import WorldFeed
from sluice.decision.weights import pinned
from sluice.decision.world import World
from sluice.webhook.certificates import Lifetimes
from sluice.webhook.keys import follow_keys
from sluice.webhook.metrics import Metrics
from sluice.webhook.server import AdmissionServer
from sluice.webhook.serving_certificate import Place, ServingCertificate
from sluice.webhook.sight import Sight
from sluice.webhook.tls import SwappableTls

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The flags of `sluice webhook`. Times are in seconds."""

    namespace: str = "sluice-system"
    """Where the Service and the Secret are."""
    kubeconfig: Path | None = None
    context: str | None = None
    host: str = "0.0.0.0"  # noqa: S104 - a Pod is reached at its own address, which it does not know
    port: int = 9443
    probe_port: int = 8080
    also_named: tuple[str, ...] = ()
    """Further DNS names or addresses of the serving certificate, for an API server that does not call by Service."""
    verifier_image: str = ""
    """What checks weights where they are loaded: the image of Sluice itself, by digest. Without it, Pods that load such weights wait."""
    world_max_age: float = 90.0
    """Nothing is decided on knowledge older than this. The API server proves it anew about every 30 s."""
    deadline: float = 4.0
    """For reading a request; below the timeout of the webhook configurations."""
    drain: float = 5.0
    """How long it answers after it has said that it is not ready."""
    ca_lifetime: float = Lifetimes().ca.total_seconds()
    certificate_lifetime: float = Lifetimes().leaf.total_seconds()
    ca_overlap: float = Lifetimes().overlap.total_seconds()
    certificate_check: float = 30.0

    @property
    def lifetimes(self) -> Lifetimes:
        """Lifetimes of CA and leaf. Raises ValueError when they do not fit together."""
        seconds = (self.ca_lifetime, self.certificate_lifetime, self.ca_overlap)
        ca, leaf, overlap = (timedelta(seconds=second) for second in seconds)
        return Lifetimes(ca=ca, leaf=leaf, overlap=overlap)

    @property
    def place(self) -> Place:
        """Where the certificate is kept and published. The Secret, the Service and both configurations have fixed names."""
        service = f"{WEBHOOK}.{self.namespace}.svc"
        names = (service, f"{service}.cluster.local", *self.also_named)
        return Place(namespace=self.namespace, secret=f"{WEBHOOK}-tls", configuration=WEBHOOK, names=names)


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises when a part that must run forever ends; the process should end then, too."""
    connection = Connection.load(kubeconfig=settings.kubeconfig, context=settings.context)
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    async with ApiClient(connection) as client:
        feed, tls = WorldFeed(client, World(defers=True, verifier=pinned(settings.verifier_image))), SwappableTls()
        certificate = ServingCertificate(client, tls, settings.place, settings.lifetimes)

        def look() -> Sight:
            return Sight(world=feed.world, now=datetime.now(UTC), blind=feed.blind(max_age_seconds=settings.world_max_age))

        def certificate_expires() -> float:
            return certificate.expires.timestamp() if certificate.expires else 0.0

        metrics = Metrics(world_age_seconds=feed.age_seconds, certificate_expires=certificate_expires)
        server = AdmissionServer(look, tls, metrics, deadline_seconds=settings.deadline, drain_seconds=settings.drain)
        async with asyncio.TaskGroup() as group:
            background = [
                group.create_task(feed.run(), name="world"),
                group.create_task(follow_keys(client, settings.namespace, feed.world), name="public keys of the controller"),
                group.create_task(certificate.run(check_seconds=settings.certificate_check), name="serving certificate"),
            ]
            await server.start(host=settings.host, port=settings.port, probe_port=settings.probe_port)
            log.info("listening on port %d, probes on %d", server.port, server.probe_port)
            await ending.wait()
            log.info("ending: not ready from now on, answering for another %g s", settings.drain)
            await server.stop()
            for task in background:
                task.cancel()
