"""Where a cluster lives: its state folder and its addresses.

A cluster owns one /16 of 10.64.0.0/10, chosen once and written down, so that several can run side by side and a restarted one is found
where it was. Everything that has to survive is in the state folder; `down` deletes it.
"""

import contextlib
import fcntl
import hashlib
import ipaddress
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.narrate import StepFailed

FIRST_OCTET, LAST_OCTET = 64, 127
REGISTRY_PORT = 5000
API_PORT = 6443
HIDDEN_FOLDERS = ("/run", "/var/lib", "/var/log")
"""Folders of which the cluster sees its own instead of the host's; the state folder cannot be below them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One cluster's name, folder and address range. Addresses are strings, ready for command lines."""

    name: str
    folder: Path
    octet: int

    @property
    def network(self) -> str:
        """The cluster's whole range; the host's one route."""
        return f"10.{self.octet}.0.0/16"

    @property
    def node_address(self) -> str:
        """The node: API server, registry, kubelet, DNS."""
        return f"10.{self.octet}.0.1"

    @property
    def host_address(self) -> str:
        """The host as Pods and the API server reach it."""
        return f"10.{self.octet}.0.2"

    @property
    def service_network(self) -> str:
        """Addresses of Services."""
        return f"10.{self.octet}.64.0/18"

    @property
    def api_service_address(self) -> str:
        """The Service `kubernetes`: the first address of the range, by definition."""
        return f"10.{self.octet}.64.1"

    @property
    def dns_service_address(self) -> str:
        """The Service `kube-dns`."""
        return f"10.{self.octet}.64.10"

    @property
    def pod_network(self) -> str:
        """Addresses of Pods."""
        return f"10.{self.octet}.128.0/17"

    @property
    def api(self) -> str:
        """URL of the API server, the same from the host, the node and Pods."""
        return f"https://{self.node_address}:{API_PORT}"

    @property
    def registry(self) -> str:
        """`host:port` of the registry, the same from the host and for the node's image pulls."""
        return f"{self.node_address}:{REGISTRY_PORT}"

    @property
    def registry_folder(self) -> Path:
        """Where the registry keeps its content."""
        return self.folder / "registry"

    @property
    def host_link(self) -> str:
        """The host's end of the cable."""
        return f"sluice{self.octet}"

    @property
    def cgroup(self) -> str:
        """The cgroup below which all Pods of this cluster are."""
        return f"sluice-{self.name}-{self.octet}"

    @property
    def logs(self) -> Path:
        """One log per component."""
        return self.folder / "log"

    @property
    def pki(self) -> Path:
        """Keys, certificates and kubeconfigs."""
        return self.folder / "pki"

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of the cluster's administrator."""
        return self.pki / "admin.kubeconfig"


def state_root() -> Path:
    """Where state folders are: `$XDG_STATE_HOME/sluice`."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state").resolve() / "sluice"


def folder_of(name: str) -> Path:
    """Give a cluster's state folder. Raises StepFailed for a name that could not be a folder, a cgroup and part of a host name."""
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", name):
        raise StepFailed(f"cluster name {name!r}: use up to 32 lower-case letters, digits and inner dashes")
    folder = state_root() / name
    if any(folder.is_relative_to(hidden) for hidden in HIDDEN_FOLDERS):
        raise StepFailed(f"state folder {folder}: the cluster has its own {', '.join(HIDDEN_FOLDERS)}; set XDG_STATE_HOME to a folder elsewhere")
    return folder


def find(name: str) -> Place | None:
    """Read where a cluster lives; None when there is no such cluster."""
    folder = folder_of(name)
    try:
        record = json.loads((folder / "place.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Place(name=name, folder=folder, octet=record["octet"])


def find_or_choose(name: str) -> Place:
    """Read where a cluster lives, or give it a free range and write that down before anything uses it."""
    with _locked(state_root()):
        place = find(name)
        if place is None:
            folder = folder_of(name)
            folder.mkdir(parents=True, exist_ok=True)
            place = Place(name=name, folder=folder, octet=_free_octet(name))
            write_whole(folder / "place.json", json.dumps({"octet": place.octet}))
    place.logs.mkdir(exist_ok=True)
    return place


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """Let one `up` or `down` of a cluster run at a time. The lock goes with the process that holds it, however that ends."""
    folder = folder_of(name)
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder) as handle:
            # Whoever held the lock before us may have deleted the folder: then this lock guards nothing.
            if folder.exists() and os.fstat(handle).st_ino == folder.stat().st_ino:
                yield
                return


def write_whole(path: Path, content: str, *, mode: int = 0o644) -> None:
    """Write a file so that it is there completely or not at all."""
    scratch = path.with_name(f".{path.name}.partial")
    scratch.write_text(content, encoding="utf-8")
    scratch.chmod(mode)
    scratch.rename(path)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[int]:
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def _free_octet(name: str) -> int:
    """Choose a range that neither another cluster nor a route of the host uses; the name decides where the search starts."""
    taken = {json.loads(record.read_text(encoding="utf-8"))["octet"] for record in state_root().glob("*/place.json")}
    used = _routes()
    span = LAST_OCTET - FIRST_OCTET + 1
    start = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])
    for step in range(span):
        octet = FIRST_OCTET + (start + step) % span
        if octet not in taken and not any(network.overlaps(ipaddress.IPv4Network(f"10.{octet}.0.0/16")) for network in used):
            return octet
    raise StepFailed(f"no free address range: every 10.{FIRST_OCTET}.0.0/16 to 10.{LAST_OCTET}.0.0/16 has a cluster or a route of this host")


def _routes() -> list[ipaddress.IPv4Network]:
    """Read the networks that the host has routes to, the default route aside: the kernel writes addresses in its own byte order."""
    networks = []
    for line in Path("/proc/net/route").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        destination, mask = (int.from_bytes(bytes.fromhex(fields[column]), sys.byteorder) for column in (1, 7))
        if mask:
            networks.append(ipaddress.IPv4Network((destination, str(ipaddress.IPv4Address(mask)))))
    return networks
