"""The cable between the host and the sandbox, and the one route the host gets.

The host reaches Pods and Services by address, and so does everything else that a test starts on it; the API server inside reaches webhooks
by Service. The route vanishes with the cable, and the cable is taken away at the end.
"""

import subprocess
from pathlib import Path

from e2e.cluster.narrate import StepFailed
from e2e.cluster.place import Place
from e2e.cluster.sandbox import Sandbox, wait_until

NODE_LINK = "eth0"
GONE_SECONDS = 20.0


def connect(place: Place, sandbox: Sandbox) -> None:
    """Connect host and sandbox; every command may be repeated. Raises StepFailed with the output of what failed."""
    log = place.logs / "network.log"
    init = sandbox.init
    if not Path(f"/sys/class/net/{place.host_link}").exists():
        _host(log, "ip", "link", "add", place.host_link, "type", "veth", "peer", "name", NODE_LINK, "netns", str(init))
    sandbox.run("ip", "address", "replace", f"{place.node_address}/30", "dev", NODE_LINK, log=log)
    sandbox.run("ip", "link", "set", NODE_LINK, "up", log=log)
    _host(log, "ip", "address", "replace", f"{place.host_address}/30", "dev", place.host_link)
    _host(log, "ip", "link", "set", place.host_link, "up")
    sandbox.run("ip", "route", "replace", "default", "via", place.host_address, log=log)
    # Each Pod has a route of its own; an address without one is refused at once instead of wandering back to the host.
    sandbox.run("ip", "route", "replace", "unreachable", place.pod_network, log=log)
    _host(log, "ip", "route", "replace", place.network, "via", place.node_address, "dev", place.host_link)


def wait_until_gone(place: Place, *, log: Path) -> None:
    """Take the cable away, whose other end may stay for minutes: a connection that was cut with data on its way keeps its network namespace alive."""
    if Path(f"/sys/class/net/{place.host_link}").exists():
        # It may go by itself in this very moment, which is as good.
        subprocess.run(["ip", "link", "delete", place.host_link], check=False, capture_output=True)
    wait_until(
        lambda: not Path(f"/sys/class/net/{place.host_link}").exists(),
        seconds=GONE_SECONDS,
        failure=f"network device {place.host_link} did not vanish",
        log=log,
    )


def _host(log: Path, *command: str) -> None:
    with log.open("ab") as output:
        if subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=output, stderr=output).returncode:
            raise StepFailed(f"`{' '.join(command)}` failed on the host", log=log)
