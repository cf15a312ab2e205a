"""Kubernetes, containerd, DNS, an OCI registry, an S3 server, Helm, Prometheus and Sigstore, built from pinned Go modules into a cache outside the checkout.

Each folder with a `go.mod` below `go/` is one unit; modules whose dependencies disagree cannot share one. A unit's binaries live in a
folder named by everything that decides their content, so a changed pin is another folder and an old one is never mistaken for it.
A folder appears by one rename when all of its binaries are there: an interrupted build leaves nothing that counts as done.
"""

import concurrent.futures
import contextlib
import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from e2e.cluster.narrate import Narrator, StepFailed

KUBERNETES_VERSION = "v1.36.3"
HELM_VERSION = "v4.3.1"
CONTAINERD_VERSION = "v2.2.9"
PROMETHEUS_VERSION = "v0.315.0"
MODULES = Path(__file__).parent / "go"
HEARTBEAT_SECONDS = 30.0
OLDEST_GO = (1, 26)
FETCHES_GO = (1, 21)
"""From this version on, Go fetches a newer one by itself where it is needed, unless GOTOOLCHAIN is `local`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One Go module and the programs that come out of it."""

    name: str
    folder: Path
    programs: Mapping[str, str]
    """Program name → Go package path."""
    variables: Mapping[str, str]
    """Go variables set at link time; without them the API server calls itself v0.0.0 and refuses newer clients."""
    tags: Sequence[str] = ()
    """Build tags."""
    hasty: str = ""
    """Packages, as a pattern, that the compiler need not optimize: for a program whose own speed does not matter."""

    @property
    def selection(self) -> list[str]:
        """Arguments of `go list` and `go build` that decide which packages belong to the programs."""
        return [f"-tags={','.join(self.tags)}"] if self.tags else []

    @property
    def flags(self) -> list[str]:
        """Arguments of `go build` that decide the content of the programs."""
        settings = " ".join(f"-X {variable}={value}" for variable, value in self.variables.items())
        haste = [f"-gcflags={self.hasty}=-N -l"] if self.hasty else []
        return ["-trimpath", "-buildvcs=false", "-ldflags", f"-s -w {settings}".strip(), *haste, *self.selection]


_VERSION_PACKAGE = "k8s.io/component-base/version"
KUBERNETES = Unit(
    name="kubernetes",
    folder=MODULES,
    programs={"etcd": "go.etcd.io/etcd/server/v3"}
    | {
        program: f"k8s.io/kubernetes/cmd/{program}"
        for program in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
    },
    variables={
        f"{_VERSION_PACKAGE}.gitVersion": KUBERNETES_VERSION,
        f"{_VERSION_PACKAGE}.gitMajor": "1",
        f"{_VERSION_PACKAGE}.gitMinor": KUBERNETES_VERSION.split(".")[1],
        f"{_VERSION_PACKAGE}.gitTreeState": "clean",
    },
)
REGISTRY = Unit(
    name="registry",
    folder=MODULES / "registry",
    programs={"registry": "sluice.dev/e2e/cluster/registry", "crane": "github.com/google/go-containerregistry/cmd/crane"},
    variables={},
)
COREDNS = Unit(name="coredns", folder=MODULES / "coredns", programs={"coredns": "sluice.dev/e2e/cluster/coredns"}, variables={})
CONTAINERD = Unit(
    name="containerd",
    folder=MODULES / "containerd",
    programs={program: f"github.com/containerd/containerd/v2/cmd/{program}" for program in ("containerd", "containerd-shim-runc-v2", "ctr")},
    variables={"github.com/containerd/containerd/v2/version.Version": CONTAINERD_VERSION},
    # Layers are overlays here; the other ways need kernels and disks of their own.
    tags=("no_btrfs", "no_devmapper", "no_zfs"),
)
HELM = Unit(
    name="helm",
    folder=MODULES / "helm",
    programs={"helm": "helm.sh/helm/v4/cmd/helm"},
    variables={"helm.sh/helm/v4/internal/version.version": HELM_VERSION},
)
PROMETHEUS = Unit(
    name="prometheus",
    folder=MODULES / "prometheus",
    programs={program: f"github.com/prometheus/prometheus/cmd/{program}" for program in ("prometheus", "promtool")},
    variables={"github.com/prometheus/common/version.Version": PROMETHEUS_VERSION},
    # Rules and fixed targets need no service discovery, and with all of it the client libraries of some twenty clouds would be compiled.
    # Without the tag `builtinassets` the server has no pages for people, and needs no Node.js to be built.
    tags=("remove_all_sd",),
)
SIGSTORE = Unit(
    name="sigstore",
    folder=MODULES / "sigstore",
    programs={
        "fulcio": "github.com/sigstore/fulcio",
        "rekor-server": "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix",
        "timestamp-server": "github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server",
    },
    variables={},
)
S3 = Unit(
    name="s3",
    folder=MODULES / "s3",
    # The gateway's own main links three clouds and two consoles.
    programs={"s3-server": "sluice.dev/e2e/cluster/s3"},
    variables={},
    # A quarter of the time: 26 s of CPU instead of 123 s, on a busy machine that has the standard library compiled.
    hasty="github.com/...",
)
CLUSTER_UNITS = (KUBERNETES, CONTAINERD, REGISTRY, COREDNS)
ALL_UNITS = (*CLUSTER_UNITS, HELM, PROMETHEUS, SIGSTORE, S3)


def cache_folder() -> Path:
    """Where built binaries are kept: `$XDG_CACHE_HOME/sluice/bin`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sluice" / "bin"


def unit_folder(unit: Unit) -> Path:
    """Name the folder of a unit's binaries by all that decides their content: pins, sources, flags, compiler, platform."""
    digest = hashlib.sha256()
    sources = [unit.folder / "go.mod", unit.folder / "go.sum", *sorted(unit.folder.glob("*.go"))]
    for source in sources:
        digest.update(f"{source.name}\0".encode() + source.read_bytes() + b"\0")
    digest.update(repr((sorted(unit.programs.items()), unit.flags, _go("env", "GOVERSION", "GOOS", "GOARCH"))).encode())
    return cache_folder() / f"{unit.name}-{digest.hexdigest()[:16]}"


@functools.cache
def _go(*arguments: str) -> str:
    """Ask the Go tool. Raises StepFailed with what to install when it is absent."""
    try:
        return subprocess.run(["go", *arguments], check=True, capture_output=True, text=True, env=_environment()).stdout
    except FileNotFoundError:
        raise StepFailed(f"no `go` on PATH: install Go {OLDEST_GO[0]}.{OLDEST_GO[1]} or newer; the local cluster is built with it") from None


def _check_go() -> None:
    """Refuse a Go that can neither build this nor fetch one that can (from 1.21 on), before it says so about a file of ours. Raises StepFailed."""
    told = _go("env", "GOVERSION", "GOTOOLCHAIN").split()
    version = re.match(r"go(\d+)\.(\d+)", told[0]) if told else None
    if version is None:
        return
    found = (int(version[1]), int(version[2]))
    if found < FETCHES_GO or (found < OLDEST_GO and told[1:] == ["local"]):
        raise StepFailed(f"`go` on PATH is {told[0]}: install Go {OLDEST_GO[0]}.{OLDEST_GO[1]} or newer; the local cluster is built with it")


def _environment() -> dict[str, str]:
    # Flags and workspaces of the person who calls must not change what is built under a key that does not know them.
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}


class Binaries:
    """Paths of the built programs, by name: `binaries["kubectl"]`. Looking up a program builds its unit when it is not there yet."""

    def __init__(self, narrator: Narrator) -> None:
        """Build nothing yet."""
        self._narrator = narrator

    def __getitem__(self, program: str) -> Path:
        """Give the path of one program. Raises KeyError for a program that no unit builds, StepFailed when its build fails."""
        for unit in ALL_UNITS:
            if program in unit.programs:
                build([unit], narrator=self._narrator)
                return unit_folder(unit) / program
        raise KeyError(program)


def build(units: Sequence[Unit], *, narrator: Narrator) -> None:
    """Build what the cache does not hold: all downloads at once, then one compilation at a time, which uses every core by itself.

    Raises StepFailed with the end of the log when a download or a compilation fails.
    """
    if all(unit_folder(unit).is_dir() for unit in units):
        return
    with _alone(narrator):
        missing = [unit for unit in units if not unit_folder(unit).is_dir()]
        if not missing:
            return
        _check_go()
        with concurrent.futures.ThreadPoolExecutor(max_workers=len(missing)) as pool:
            downloads = {pool.submit(_fetch, unit, narrator): unit for unit in missing}
            for download in concurrent.futures.as_completed(downloads):
                _compile(downloads[download], packages=download.result(), narrator=narrator)


@contextlib.contextmanager
def _alone(narrator: Narrator) -> Iterator[None]:
    """Hold the cache to ourselves, and clear away what an interrupted build left there."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            narrator.say(f"waiting for another build in {folder}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        for leftover in folder.glob(".building-*"):
            shutil.rmtree(leftover)
        yield
    finally:
        os.close(handle)


def _run(arguments: Sequence[str | Path], *, unit: Unit, log: IO[bytes], output: IO[bytes]) -> int:
    # The kernel ends the compiler when we are killed: an orphan would compete with the next attempt for the cores.
    command = ["setpriv", "--pdeathsig", "TERM", "go", *arguments]
    return subprocess.run(command, check=False, cwd=unit.folder, env=_environment(), stdout=output, stderr=log).returncode


def _log(unit: Unit) -> Path:
    return cache_folder() / f"{unit.name}.log"


def _fetch(unit: Unit, narrator: Narrator) -> int:
    """Download what the unit's programs import, and count the packages. `go mod download` would fetch other people's tests too."""
    log = _log(unit)
    with narrator.step(f"download modules of {unit.name}"), log.open("wb") as errors, tempfile.TemporaryFile() as packages:
        if _run(["list", *unit.selection, "-deps", *unit.programs.values()], unit=unit, log=errors, output=packages):
            raise StepFailed(f"download of {unit.name}'s Go modules failed", log=log)
        packages.seek(0)
        return sum(1 for _ in packages)


def _compile(unit: Unit, *, packages: int, narrator: Narrator) -> None:
    target, log = unit_folder(unit), _log(unit)
    scratch = target.parent / f".building-{unit.name}"
    scratch.mkdir()
    finished = threading.Event()
    heart = threading.Thread(target=_heartbeat, args=(unit, packages, narrator, finished), daemon=True)
    try:
        with narrator.step(f"compile {unit.name} ({packages} packages; log: {log})"), log.open("ab") as errors:
            heart.start()
            if _run(["build", "-v", *unit.flags, "-o", f"{scratch}/", *unit.programs.values()], unit=unit, log=errors, output=errors):
                raise StepFailed(f"compilation of {unit.name} failed", log=log)
        for program, package in unit.programs.items():
            (scratch / _output_name(package)).rename(scratch / program)
        scratch.rename(target)
    finally:
        finished.set()
        heart.join()
        shutil.rmtree(scratch, ignore_errors=True)


def _output_name(package: str) -> str:
    """Name the file that `go build` makes of a package: its last path element that is not a major version."""
    return next(element for element in reversed(package.split("/")) if not re.fullmatch(r"v\d+", element))


def _heartbeat(unit: Unit, packages: int, narrator: Narrator, finished: threading.Event) -> None:
    """Show that a long compilation is alive: `go build -v` logs a line for each package it compiles."""
    began = time.monotonic()
    while not finished.wait(HEARTBEAT_SECONDS):
        compiled = sum(1 for line in _log(unit).read_bytes().splitlines() if line and not line.startswith(b"go: "))
        narrator.say(f"  … {unit.name}: {compiled} of at most {packages} packages compiled, {time.monotonic() - began:.0f} s")
