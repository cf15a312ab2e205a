"""Wires the controller together and runs it until it is told to end, or loses the Lease.

Every process watches; the one that holds the Lease acts. So a follower takes over with everything known already, and has only the Lease to wait for.
Every write passes the fence of the Lease. A process that loses it exits at once and writes nothing more, not even a farewell.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Final

from sluice.api.names import CONTROLLER, GROUP
from sluice.cluster.client import ApiClient
from sluice.cluster.connection import Connection
from sluice.cluster.events import EventRecorder
from sluice.cluster.feed import WorldFeed
from sluice.cluster.lease import Lease
from sluice.cluster.prometheus import PrometheusClient
from sluice.cluster.queue import WorkQueue
from sluice.cluster.resource import CANARY_RUNS, DRILLS, EVIDENCE, MONITORS, PODS, RELEASES
from sluice.controller.canary import CanaryReconciler
from sluice.controller.canary_samples import SampleKeeper
from sluice.controller.discovery import Discovery
from sluice.controller.drill import DrillReconciler
from sluice.controller.handlers import Deliveries, registry_of
from sluice.controller.monitor_sources import PrometheusSource
from sluice.controller.monitors import MonitorReconciler
from sluice.controller.objects import ObjectReconciler
from sluice.controller.observe import Heartbeat, Metrics, Probes
from sluice.controller.probes import ProbeSource
from sluice.controller.records import Recorder
from sluice.controller.release import Reconciler
from sluice.controller.settings import Settings
from sluice.controller.signing_key import ControllerKey
from sluice.controller.triggers import Triggers
from sluice.controller.work import SWEEP, Item
from sluice.decision.records import Key
from sluice.decision.weights import pinned
from sluice.decision.world import World
from sluice.rollout.actuation import Announcer
from sluice.rollout.statistics_client import StatisticsClient

LEASE_LOST_STATUS: Final = 75
"""Exit status of a process that lost the Lease (EX_TEMPFAIL of sysexits): start it again."""
WATCHED_AT_ONCE: Final = 8
"""Monitors looked at at once."""
DISCOVERED_AT_ONCE: Final = 4
"""Releases and evidence that registries are asked about at once."""
_STOP_SECONDS: Final = 10.0

log: Final = logging.getLogger(__name__)


async def run(settings: Settings) -> None:
    """Watch, lead when it is our turn, and return on SIGTERM or SIGINT. Raises when a part that must run for ever ends."""
    connection = Connection.load(kubeconfig=settings.kubeconfig, context=settings.context)
    instance = settings.identity or socket.gethostname()
    timing, loop, ending = settings.timing, asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    async with ApiClient(connection, timeout_seconds=timing.request_timeout_seconds) as lease_client:
        lease = Lease(lease_client, namespace=settings.namespace, name=CONTROLLER, identity=f"{instance}_{secrets.token_hex(4)}", timing=timing)
        async with ApiClient(connection, guard=lease.fence) as client:
            try:
                await _run(settings, connection, client, lease, instance=instance, ending=ending)
            finally:
                # All work has ended by now: the next process may write from this moment on.
                await lease.release()


async def _run(settings: Settings, connection: Connection, client: ApiClient, lease: Lease, *, instance: str, ending: asyncio.Event) -> None:
    world, own = World(defers=True, verifier=pinned(settings.verifier_image)), ControllerKey()
    metrics = Metrics(leads=lambda: lease.held)
    queue: WorkQueue[Item] = WorkQueue(on_depth=metrics.depth)
    triggers = Triggers(world, queue)
    feed = WorldFeed(client, world, on_touched=triggers.touched, on_object=triggers.changed)
    metrics.age_of_world(feed.age_seconds)
    events = EventRecorder(client, controller=f"{GROUP}/controller", instance=instance)
    scorers = StatisticsClient(on_failure=metrics.canaries.unread)
    canaries = CanaryReconciler(
        client=client, feed=feed, events=events, scorers=scorers, image=settings.scorers,
        start_seconds=settings.canary_start, max_age_seconds=settings.world_max_age, metrics=metrics.canaries, key=lambda: own.signing,
        samples=SampleKeeper(client=client, scorers=scorers, events=events, place=settings.samples),
    )  # fmt: skip
    drills = DrillReconciler(
        client=client, feed=feed, events=events, key=lambda: own.signing, start_seconds=settings.canary_start,
        max_age_seconds=settings.world_max_age, metrics=metrics.drills,
    )  # fmt: skip
    registries = settings.registries
    discovery = Discovery(client=client, feed=feed, registries=registries, pull_secrets=settings.evidence_pull_secret, look_at=queue.add_all)
    metrics.discovering(discovery.reasons)
    metrics.drills.known(lambda: tuple(world.drills.items()))
    releases = Reconciler(
        client=client, feed=feed, events=events, announcer=Announcer(events), metrics=metrics,
        max_age_seconds=settings.world_max_age, resync_seconds=settings.resync, look_at=queue.add_all, discovered=discovery.condition,
        records=Recorder(client=client, key=lambda: own.signing),
    )  # fmt: skip
    prometheus = PrometheusClient(server) if (server := settings.prometheus) else None
    monitors = MonitorReconciler(
        client=client, feed=feed, events=events, metrics=metrics.monitors,
        prometheus=PrometheusSource(prometheus) if prometheus else None,
        probes=ProbeSource(client=client, world=lambda: feed.world, image=settings.scorers), max_age_seconds=settings.world_max_age,
    )  # fmt: skip
    aside = _Aside()
    objects = ObjectReconciler(client=client, feed=feed, metrics=metrics)
    work = _timed(
        _worker(releases, {CANARY_RUNS.kind: canaries.settle, DRILLS.kind: drills.settle, SWEEP.kind: drills.sweep}, objects, monitors, aside), metrics
    )
    watch, discover = _timed(lambda item: monitors.settle(item.key), metrics), _timed(discovery.settle, metrics, kind="Discovery")
    heartbeat = Heartbeat()
    probes = Probes(
        host=settings.host, port=settings.probe_port, metrics=metrics,
        healthy=heartbeat.problem, ready=lambda: feed.blind(max_age_seconds=settings.world_max_age),
    )  # fmt: skip
    deliveries = _deliveries(connection, queue, ending)

    async def lead() -> None:
        await feed.wait_synced()
        log.info("everything is listed; waiting for the lease")
        await lease.acquire()
        # Who leads signs. Until it knows its keys, nothing that it has signed before counts.
        world.trust_controller(await own.load(client, settings.namespace))
        triggers.start()
        deliveries.start()
        async with scorers, registries, prometheus or nullcontext(), asyncio.TaskGroup() as leading:
            leading.create_task(queue.run(work, concurrency=settings.concurrency), name="work")
            leading.create_task(aside.watching.run(watch, concurrency=WATCHED_AT_ONCE), name="watching")
            leading.create_task(aside.discovering.run(discover, concurrency=DISCOVERED_AT_ONCE), name="discovering")
            leading.create_task(_resync(triggers, settings.resync), name="resync")
            leading.create_task(_leave_when_lost(lease), name="lease")

    log.info("probes and metrics on port %d", probes.port)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(feed.run(), name="world"), group.create_task(heartbeat.run(), name="heartbeat"), group.create_task(lead(), name="lead")]
            await ending.wait()
            log.info("ending")
            for task in tasks:
                task.cancel()
        if deliveries.died:
            raise RuntimeError("kopf ended, and no workload would be seen any more; its log says why")
    finally:
        await asyncio.to_thread(deliveries.stop, timeout_seconds=_STOP_SECONDS)
        probes.close()


def _deliveries(connection: Connection, queue: WorkQueue[Item], ending: asyncio.Event) -> Deliveries:
    loop = asyncio.get_running_loop()

    def hand_over(item: Item) -> None:
        loop.call_soon_threadsafe(queue.add, item)

    def on_end() -> None:
        loop.call_soon_threadsafe(ending.set)

    return Deliveries(registry_of(hand_over, connection), on_end=on_end)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Aside:
    """Work that waits for others, with workers of its own: monitors wait for Prometheus, discovery for registries, and nothing else shall."""

    watching: WorkQueue[Item] = field(default_factory=WorkQueue)
    discovering: WorkQueue[Item] = field(default_factory=WorkQueue)


def _worker(
    releases: Reconciler, trials: Mapping[str, Callable[[Key], Awaitable[float | None]]], objects: ObjectReconciler, monitors: MonitorReconciler,
    aside: _Aside,
) -> Callable[[Item], Awaitable[float | None]]:  # fmt: skip
    async def work(item: Item) -> float | None:
        match item.kind:
            case RELEASES.kind:
                again = await releases.release(item.key)
                aside.discovering.add(item)
                aside.watching.add_all(Item(MONITORS.kind, key) for key in await monitors.of_release(item.key))
                return again
            case PODS.kind:
                return await releases.unnamed_pod(item.key)
            case kind if kind in trials:
                return await trials[kind](item.key)
            case MONITORS.kind:
                aside.watching.add(item)
            case EVIDENCE.kind:
                await objects.settle(item)
                aside.discovering.add(item)
            case _:
                await objects.settle(item)
        return None

    return work


def _timed(work: Callable[[Item], Awaitable[float | None]], metrics: Metrics, *, kind: str = "") -> Callable[[Item], Awaitable[float | None]]:
    """Count and time each look, under the kind of the object, or under a name of its own for work that follows a look."""

    async def timed(item: Item) -> float | None:
        started, failed = time.monotonic(), True
        try:
            again = await work(item)
            failed = False
            return again
        finally:
            metrics.looked(kind or item.kind, seconds=time.monotonic() - started, failed=failed)

    return timed


async def _resync(triggers: Triggers, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        triggers.everything()


async def _leave_when_lost(lease: Lease) -> None:
    await lease.lost.wait()
    log.critical("the lease is lost: another process may write now, so this one ends at once")
    logging.shutdown()
    os._exit(LEASE_LOST_STATUS)
