"""What the host must offer: root, namespaces, and a few Debian packages, which are installed when missing."""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.narrate import Narrator, StepFailed

PROGRAM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NETWORK_PLUGINS = Path("/usr/lib/cni")
BUSYBOX = Path("/bin/busybox")


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Something the cluster cannot do without, and the Debian package that brings it."""

    package: str
    because: str
    met: Callable[[], bool]


def on_path(program: str) -> Callable[[], bool]:
    """Make the question whether a program is installed."""
    return lambda: shutil.which(program, path=PROGRAM_PATH) is not None


def _static(program: Path) -> bool:
    """Whether a program starts without the host's libraries, as it has to in an image that holds nothing else."""
    return program.exists() and b"/ld-linux" not in program.read_bytes()


# What is asked for is the program, not the package: where Docker's packages bring it, Debian's would throw Docker out.
NEEDS = (
    Need(package="runc", because="starts the Pods' containers", met=on_path("runc")),
    Need(package="containernetworking-plugins", because="gives each Pod its address", met=(NETWORK_PLUGINS / "ptp").exists),
    Need(package="iptables", because="lets kube-proxy route Services", met=on_path("iptables")),
    Need(package="iproute2", because="connects the cluster with the host", met=on_path("ip")),
    Need(package="tini", because="is the first process of the cluster", met=on_path("tini")),
    Need(package="busybox-static", because="is the content of the pause and test images", met=lambda: _static(BUSYBOX)),
)


def prepare(*, log: Path, narrator: Narrator, needs: Sequence[Need] = NEEDS) -> None:
    """Check for root and install missing Debian packages. Raises StepFailed with what to do."""
    if os.geteuid() != 0:
        raise StepFailed("this needs root (namespaces, mounts, iptables): run it with sudo, or name an existing cluster instead")
    missing = [need for need in needs if not need.met()]
    if not missing:
        return
    packages = [need.package for need in missing]
    if shutil.which("apt-get") is None:
        raise StepFailed(f"not found: {', '.join(packages)}; without apt-get (Debian, Ubuntu) they have to be installed by hand")
    reasons = "; ".join(f"{need.package} {need.because}" for need in missing)
    with narrator.step(f"install Debian packages ({reasons}; log: {log})"), log.open("ab") as output:
        # Nothing that is installed makes room for them: then the person decides, not we.
        for arguments in (["update", "-qq"], ["install", "-y", "--no-install-recommends", "--no-remove", *packages]):
            done = subprocess.run(
                ["apt-get", *arguments],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            )
            if done.returncode:
                raise StepFailed(f"apt-get {' '.join(arguments)} failed", log=log)
