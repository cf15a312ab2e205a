"""What the host must offer: root, namespaces, and a few Debian packages, which are installed when missing."""

import os
import shutil
import subprocess
from pathlib import Path

from e2e.cluster.narrate import Narrator, StepFailed

PACKAGES = {
    "containerd": "runs the Pods' containers",
    "runc": "starts them",
    "containernetworking-plugins": "gives each Pod its address",
    "iptables": "lets kube-proxy route Services",
    "iproute2": "connects the cluster's network namespace with the host",
    "tini": "is the first process inside the cluster's namespaces",
    "busybox-static": "is the content of the pause and test images",
}


def prepare(*, log: Path, narrator: Narrator) -> None:
    """Check for root and install missing Debian packages. Raises StepFailed with what to do."""
    if os.geteuid() != 0:
        raise StepFailed("the local cluster needs root (namespaces, mounts, iptables): run it with sudo, or name an existing cluster instead")
    missing = _missing()
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise StepFailed(f"not found: {', '.join(missing)}; without apt-get (Debian, Ubuntu) they have to be installed by hand")
    reasons = "; ".join(f"{package} {PACKAGES[package]}" for package in missing)
    with narrator.step(f"install Debian packages ({reasons}; log: {log})"), log.open("ab") as output:
        for arguments in (["update", "-qq"], ["install", "-y", "--no-install-recommends", *missing]):
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


def _missing() -> list[str]:
    if shutil.which("dpkg-query") is None:
        return list(PACKAGES)
    listing = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *PACKAGES], check=False, capture_output=True, text=True)
    installed = {line.split()[0] for line in listing.stdout.splitlines() if line.endswith(" installed")}
    return [package for package in PACKAGES if package not in installed]
