"""The cgroup that holds all Pods of a cluster, in version 1 (a folder per controller) and version 2 (one folder).

It is named after the cluster, so that the kubelets of several clusters do not take each other's Pods for leftovers.
"""

import contextlib
import time
from pathlib import Path

from e2e.cluster.narrate import StepFailed
from e2e.cluster.place import Place

MOUNT = Path("/sys/fs/cgroup")
CONTROLLERS = ("cpu", "cpuset", "hugetlb", "io", "memory", "pids")
END_SECONDS = 10.0
# All Pods together against each process outside, which weighs 1024 or 100: with as much as one of them, a server that users wait for
# has not answered for five seconds while tests kept both cores of a machine busy. A node of a real cluster prefers its Pods as well.
WEIGHTS = {"cpu.shares": "4096", "cpu.weight": "400"}


def _hierarchies() -> list[Path]:
    if (MOUNT / "cgroup.controllers").exists():
        return [MOUNT]
    return [folder for folder in MOUNT.iterdir() if folder.is_dir() and not folder.is_symlink() and (folder / "cgroup.procs").exists()]


def create(place: Place) -> None:
    """Make the cluster's cgroup; the kubelet insists that its root exists before it starts."""
    for hierarchy in _hierarchies():
        folder = hierarchy / place.cgroup
        if hierarchy == MOUNT:
            _delegate(hierarchy)
        folder.mkdir(exist_ok=True)
        if hierarchy == MOUNT:
            _delegate(folder)
        # Version 1 starts a cpuset empty, and nothing can run in it until it is told its processors and memory nodes.
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if hierarchy != MOUNT and (folder / setting).exists():
                (folder / setting).write_text((hierarchy / setting).read_text(encoding="ascii"), encoding="ascii")
        for setting, weight in WEIGHTS.items():
            if (folder / setting).exists():
                (folder / setting).write_text(weight, encoding="ascii")


def _delegate(folder: Path) -> None:
    """Hand the controllers that exist down to the children of a version 2 cgroup."""
    present = (folder / "cgroup.controllers").read_text(encoding="ascii").split()
    for controller in set(CONTROLLERS) & set(present):
        (folder / "cgroup.subtree_control").write_text(f"+{controller}", encoding="ascii")


def folders(name: str) -> list[Path]:
    """Find the top cgroups of a cluster by its name, its address range being unknown when the state folder was lost."""
    found = [folder for hierarchy in _hierarchies() for folder in hierarchy.glob(f"sluice-{name}-*")]
    return [folder for folder in found if folder.name.removeprefix(f"sluice-{name}-").isdigit()]


def remove(name: str) -> None:
    """Remove a cluster's cgroups, deepest first. Raises StepFailed when one stays busy: a process is still in it."""
    deadline = time.monotonic() + END_SECONDS
    while remaining := folders(name):
        for top in remaining:
            for folder in sorted((path for path in top.rglob("*") if path.is_dir()), key=lambda path: len(path.parts), reverse=True):
                with contextlib.suppress(OSError):
                    folder.rmdir()
            with contextlib.suppress(OSError):
                top.rmdir()
        if time.monotonic() > deadline:
            raise StepFailed(f"cgroup {remaining[0]} is still in use after the cluster's processes ended")
        time.sleep(0.05)
