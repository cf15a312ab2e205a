"""The cluster's own process, mount and network namespaces, and the processes inside.

Everything of a cluster is a descendant of one `tini`, process 1 of a PID namespace. When it ends, by us or by `kill -9`, the kernel ends
the rest: processes, container shims, mounts, the network namespace, with it both ends of the cable and the host's route. Nothing has to
be written down to be found again: a process is ours when its environment, which it cannot lose, names our state folder, and it is killed
through a pidfd opened before that was checked, so that a reused process id never hits a stranger.

Inside, /run, /var/lib and /var/log are the cluster's own, and the kernel settings that a kubelet insists on are files of its own too:
it never writes to the host's.
"""

import contextlib
import hashlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from e2e.cluster.host import PROGRAM_PATH
from e2e.cluster.narrate import StepFailed
from e2e.cluster.place import Place

INIT = "init"
CLUSTER_VARIABLE, COMPONENT_VARIABLE, SPEC_VARIABLE = "SLUICE_CLUSTER", "SLUICE_COMPONENT", "SLUICE_SPEC"
START_SECONDS = 20.0
END_SECONDS = 30.0
# Half of the host's for each of a cluster's own programs, which mostly wait: Go looks for work on every processor it may use whenever some comes, and with
# two of two etcd needed 1.7 times, the API server 1.3 times as much time for the same requests. What runs in Pods does not inherit it.
PROCESSORS = max(1, len(os.sched_getaffinity(0)) // 2)

# What the kubelet would write to the host: it finds these values already there, in files that hide the real ones.
KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}

IMAGES_IN_MEMORY_FROM = 8 << 30
"""Bytes of memory that have to be free. Unpacked images are a gigabyte in twenty thousand files, and go with the sandbox: on a disk from which as many were
just deleted, making them takes three times as long."""

# Runs as process 1, with the new /proc in place. $1 is the folder that holds the cluster's own /var/lib and /var/log.
SETUP = """
set -eu
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/netns /run/settings
mount --bind "$1/lib" /var/lib
if [ "$3" = memory ]; then
  mkdir -p /var/lib/containerd
  mount -t tmpfs -o mode=711 tmpfs /var/lib/containerd
fi
mount --bind "$1/log" /var/log
settings="$2"
for setting in $settings; do
  path="${setting%%=*}"
  copy="/run/settings/$(echo "$path" | tr / .)"
  echo "${setting#*=}" > "$copy"
  mount --bind "$copy" "/proc/sys/$path"
done
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
exec tini -- sleep infinity
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A long-running program inside the sandbox, with the configuration files it reads."""

    name: str
    command: Sequence[str | Path]
    files: Mapping[Path, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def spec(self) -> str:
        """Digest of all that should restart the program when it changes."""
        parts = ([str(word) for word in self.command], sorted((str(p), c) for p, c in self.files.items()), sorted(self.environment.items()))
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process of a cluster, as the host sees it."""

    pid: int
    component: str
    spec: str
    program: str
    """File name of the executable."""
    innermost_pid: int
    """Its id inside the sandbox; 1 is the first process, and a process outside has its ordinary id."""


def processes(folder: Path) -> list[Process]:
    """Find the processes that belong to the cluster with this state folder, shims included; containers are their children and not listed."""
    return [process for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()) if (process := _inspect(pid, folder))]


def _inspect(pid: int, folder: Path) -> Process | None:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if f"{CLUSTER_VARIABLE}={folder}".encode() not in environment:
            return None
        variables = dict(word.decode(errors="replace").split("=", 1) for word in environment if b"=" in word)
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        namespace_pids = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [str(pid)])
        return Process(
            pid=pid,
            component=variables.get(COMPONENT_VARIABLE, ""),
            spec=variables.get(SPEC_VARIABLE, ""),
            program=Path(f"/proc/{pid}/exe").readlink().name,
            innermost_pid=int(namespace_pids[-1]),
        )
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None


def _free() -> int:
    """Bytes of memory that programs may still take."""
    line = next(line for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines() if line.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024


class Sandbox:
    """The namespaces of one cluster."""

    def __init__(self, place: Place) -> None:
        """Look at nothing yet."""
        self._place = place
        self._node = place.folder / "node"

    @property
    def init(self) -> int | None:
        """Host process id of the sandbox's first process, once it has set the sandbox up; None while there is none."""
        found = (p.pid for p in processes(self._place.folder) if p.component == INIT and p.innermost_pid == 1 and p.program == "tini")
        return next(found, None)

    def ensure(self) -> bool:
        """Make the namespaces unless they are there. Returns True when they are new, and the node in them is blank."""
        if self.init is not None:
            return False
        for folder in ("lib", "log"):
            (self._node / folder).mkdir(parents=True, exist_ok=True)
        log = self._place.logs / "sandbox.log"
        namespaces = ["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount", "--mount-proc", "--net", "--propagation", "private"]
        settings = " ".join(f"{path}={value}" for path, value in KERNEL_SETTINGS.items())
        with log.open("ab") as output:
            subprocess.run(
                ["setsid", "--fork", *namespaces, "sh", "-c", SETUP, "setup", self._node, settings, "memory" if _free() >= IMAGES_IN_MEMORY_FROM else "disk"],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=self._environment(INIT),
            )
        wait_until(lambda: self.init is not None, seconds=START_SECONDS, failure="the sandbox (namespaces and mounts) did not start", log=log)
        return True

    def command(self, *arguments: str | Path) -> list[str]:
        """Prefix a command so that it runs inside. Raises StepFailed when there is no inside."""
        init = self.init
        if init is None:
            raise StepFailed(f"cluster {self._place.name} is not running: `python -m e2e.cluster up --name {self._place.name}`")
        return ["nsenter", f"--target={init}", "--pid", "--mount", "--net", "--", *map(str, arguments)]

    def run(self, *arguments: str | Path, log: Path) -> None:
        """Run a command inside to its end. Raises StepFailed with its output."""
        with log.open("ab") as output:
            done = subprocess.run(self.command(*arguments), check=False, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        if done.returncode:
            raise StepFailed(f"`{' '.join(map(str, arguments))}` failed inside the sandbox", log=log)

    def running(self, component: Component) -> bool:
        """Whether the component runs, with the configuration asked for."""
        return any(p.spec == component.spec for p in self._of(component.name))

    def start(self, component: Component) -> None:
        """Start a component unless it runs as asked; one that runs otherwise is ended first."""
        if self.running(component):
            return
        kill(self._place.folder, lambda p: p in self._of(component.name))
        for path, content in component.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        with (self._place.logs / f"{component.name}.log").open("ab") as output:
            # `setsid --fork` hands the program to the sandbox's first process: nothing of it stays outside.
            subprocess.run(
                self.command("setsid", "--fork", *component.command),
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**self._environment(component.name), SPEC_VARIABLE: component.spec, **component.environment},
            )

    def _of(self, component: str) -> list[Process]:
        # Shims are children of containerd and carry its environment; the program's own name tells them apart.
        return [p for p in processes(self._place.folder) if p.component == component and not p.program.startswith("containerd-shim")]

    def _environment(self, component: str) -> dict[str, str]:
        return {
            "PATH": PROGRAM_PATH,
            CLUSTER_VARIABLE: str(self._place.folder),
            COMPONENT_VARIABLE: component,
            "GOMAXPROCS": str(PROCESSORS),
        }


def kill(folder: Path, which: Callable[[Process], bool]) -> None:
    """End processes of a cluster and wait until they are gone. Raises StepFailed when the kernel does not let them go."""
    deadline = time.monotonic() + END_SECONDS
    while targets := [p for p in processes(folder) if which(p)]:
        with contextlib.ExitStack() as stack:
            handles = [handle for p in targets if (handle := stack.enter_context(_handle(p.pid, folder))) is not None]
            for handle in handles:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            for handle in handles:
                select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
        if time.monotonic() > deadline:
            names = ", ".join(f"{p.component} ({p.pid})" for p in targets)
            raise StepFailed(f"still running {END_SECONDS:.0f} s after SIGKILL: {names}")


@contextlib.contextmanager
def _handle(pid: int, folder: Path) -> Iterator[int | None]:
    """Hold a process, so that its id cannot come to mean another one, and only then look whether it is ours."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield handle if _inspect(pid, folder) else None
    finally:
        os.close(handle)


def wait_until(condition: Callable[[], bool], *, seconds: float, failure: str, log: Path) -> None:
    """Wait for a condition of another process. Raises StepFailed with the log's end when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise StepFailed(f"{failure} within {seconds:.0f} s", log=log)
        time.sleep(0.1)
