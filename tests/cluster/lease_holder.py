"""A process that writes to a ConfigMap as fast as its Lease lets it.

Each confirmed write is a line of FILE: when it was begun, when it was confirmed (seconds since boot, the same for all processes), the resource
version it made. The process ends when it loses the lease, and on SIGTERM after giving the lease away.
"""

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from sluice.cluster.client import ApiClient
from sluice.cluster.connection import Connection
from sluice.cluster.errors import ApiError
from sluice.cluster.lease import Lease, LeaseLost, Timing, uptime
from sluice.cluster.resource import Resource

CONFIG_MAPS = Resource(group="", version="v1", plural="configmaps", kind="ConfigMap")
LOST = 3


async def write(client: ApiClient, namespace: str, name: str, file: Path) -> None:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "written"}}
    with file.open("a", encoding="utf-8", buffering=1) as lines:
        count = 0
        while True:
            begun, count = uptime(), count + 1
            with suppress(ApiError, LeaseLost):
                written = await client.apply(CONFIG_MAPS.path(namespace, "written"), {**obj, "data": {"by": name, "count": str(count)}})
                lines.write(json.dumps([begun, uptime(), int(written["metadata"]["resourceVersion"])]) + "\n")
            await asyncio.sleep(0.02)


async def main(kubeconfig: str, namespace: str, name: str, file: str) -> int:
    connection = Connection.load(kubeconfig=Path(kubeconfig))
    async with ApiClient(connection, timeout_seconds=Timing().request_timeout_seconds) as for_lease:
        lease = Lease(for_lease, namespace=namespace, name="holder", identity=f"{name}-{os.getpid()}")
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        await lease.acquire()
        async with ApiClient(connection, guard=lease.fence) as client:
            waits = [asyncio.ensure_future(wait) for wait in (write(client, namespace, name, Path(file)), lease.lost.wait(), ended.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            await asyncio.wait(waits)
        if lease.lost.is_set():
            return LOST
        await lease.release()
    return 0


def hold(kubeconfig: str, namespace: str, name: str, file: str) -> None:
    """Run it, and end with its exit code."""
    sys.exit(asyncio.run(main(kubeconfig, namespace, name, file)))
