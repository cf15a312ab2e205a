"""The cache of finished images, and buildah working in a store of ours.

One folder, `~/.cache/sluice/images`, holds everything: an OCI layout per key of all inputs, and buildah's layers, from which a build with
one changed input starts. The machine's own buildah or podman images are neither used nor touched. One build runs at a time.
"""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import host
from e2e.cluster.narrate import Narrator, StepFailed

DRIVERS = ("overlay", "vfs")
"""Tried in this order; overlay does not work on an overlay file system, as inside most containers. vfs copies every layer in full."""


ISOLATED = ("unshare", "--mount")
"""The overlay driver mounts the store's own folder and leaves it mounted: in a mount namespace of its own that ends with the program."""
KEPT_LAYOUTS = 2
"""Finished images kept of each name: the new one, and the one before, which somebody may just be pushing."""
NEEDS = (
    host.Need(package="buildah", because="builds images", met=host.on_path("buildah")),
    host.Need(package="skopeo", because="writes them as OCI layouts", met=host.on_path("skopeo")),
    host.Need(package="mmdebstrap", because="makes the Debian root file system below them", met=host.on_path("mmdebstrap")),
    host.Need(package="debian-archive-keyring", because="lets it check what it fetches", met=Path("/usr/share/keyrings/debian-archive-keyring.gpg").exists),
    *(need for need in host.NEEDS if need.package == "busybox-static"),
)
"""What a build needs; installed when missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A finished image: an OCI layout folder with one manifest and uncompressed layers."""

    reference: str
    """Its own name, like `localhost/sluice:4f0c…`; a registry gives it another."""
    digest: str
    """Of its manifest, and so what a registry calls it too: `sha256:…`."""
    layout: Path
    layer_bytes: int


def cache_folder() -> Path:
    """Where images and layers are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sluice" / "images"


@contextlib.contextmanager
def alone(narrator: Narrator) -> Iterator[Path]:
    """Hold the cache folder to ourselves, clear away what an interrupted build left, and give a scratch folder that goes with the block."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    host.prepare(log=folder / "packages.log", narrator=narrator, needs=NEEDS)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            narrator.say(f"waiting for another build in {folder}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        for leftover in folder.glob(".building-*"):
            shutil.rmtree(leftover)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=folder) as scratch:
            yield Path(scratch)
    finally:
        os.close(handle)


def find(name: str, key: str) -> Image | None:
    """Give the finished image of these inputs, when there is one."""
    layout = _layout(name, key)
    if not (layout / "index.json").exists():
        return None
    manifest_entry = json.loads((layout / "index.json").read_text(encoding="utf-8"))["manifests"][0]
    digest: str = manifest_entry["digest"]
    manifest = json.loads((layout / "blobs" / digest.replace(":", "/")).read_text(encoding="utf-8"))
    return Image(reference=_reference(name, key), digest=digest, layout=layout, layer_bytes=sum(layer["size"] for layer in manifest["layers"]))


def build(
    name: str,
    key: str,
    *,
    containerfile: Path,
    context: Path,
    scratch: Path,
    arguments: Mapping[str, str] | None = None,
    volumes: Mapping[Path, str] | None = None,
) -> Image:
    """Build `containerfile` and put the result into the cache as `name` with `key`.

    `arguments` are its ARGs, `volumes` read-only mounts for its RUN steps (host folder to path). Every file time in the new layers is zero,
    so equal files make equal layers. Raises StepFailed with the end of buildah's log.
    """
    reference = tag(name, key, containerfile=containerfile, context=context, arguments=arguments, volumes=volumes)
    layout = scratch / "layout"
    # skopeo, because buildah's own push compresses the layers of an OCI layout, which here only costs time: 10 s instead of 3.
    source = f"containers-storage:[{_driver()}@{cache_folder() / 'store'}+{cache_folder() / 'run'}]{reference}"
    destination = f"oci:{layout}:{reference.rsplit('/', 1)[-1]}"
    _run(["skopeo", "copy", "--quiet", "--dest-oci-accept-uncompressed-layers", source, destination], log=_log(name))
    target = _layout(name, key)
    target.parent.mkdir(parents=True, exist_ok=True)
    layout.rename(target)
    _keep_newest(target.parent, KEPT_LAYOUTS)
    image = find(name, key)
    if image is None:
        raise StepFailed(f"buildah wrote no index.json for {reference}", log=_log(name))
    return image


def tag(
    name: str,
    key: str,
    *,
    containerfile: Path,
    context: Path,
    arguments: Mapping[str, str] | None = None,
    volumes: Mapping[Path, str] | None = None,
) -> str:
    """Build `containerfile` like `build`, but only into buildah's store, to build others on. Gives the reference."""
    reference = _reference(name, key)
    _log(name).unlink(missing_ok=True)
    _buildah(
        # chroot isolation needs neither a container runtime nor cgroups.
        *("build", "--isolation=chroot", "--format=oci", "--layers", "--timestamp=0", "--pull-never", "--tag", reference),
        *(f"--build-arg={argument}={value}" for argument, value in (arguments or {}).items()),
        *(f"--volume={source}:{path}:ro" for source, path in (volumes or {}).items()),
        *("--file", str(containerfile), str(context)),
        log=_log(name),
    )
    return reference


def holds(name: str, key: str) -> str | None:
    """Give the reference of an image in buildah's store, when it is there."""
    reference = _reference(name, key)
    found = subprocess.run([*ISOLATED, *_command(), "inspect", "--type=image", reference], check=False, capture_output=True)
    return None if found.returncode else reference


def prune(*, everything: bool, narrator: Narrator) -> None:
    """Remove all images but the newest of each name; with `everything` also the layers and downloads that the next build would start from."""
    with alone(narrator):
        folder = cache_folder()
        for layouts in (folder / "layouts").glob("*"):
            _keep_newest(layouts, 0 if everything else 1)
        if everything and (folder / "store").exists():
            # The store holds mounts and files of other owners: buildah takes it apart, then the folder can go.
            _buildah("rmi", "--all", "--force", log=folder / "prune.log")
            for part in ("store", "run", "debian", "wheels"):
                shutil.rmtree(folder / part, ignore_errors=True)


def _reference(name: str, key: str) -> str:
    return f"localhost/{name}:{key}"


def _layout(name: str, key: str) -> Path:
    return cache_folder() / "layouts" / name / key


def _log(name: str) -> Path:
    return cache_folder() / f"{name}.log"


def _keep_newest(layouts: Path, count: int) -> None:
    newest_first = sorted(layouts.iterdir(), key=lambda layout: layout.stat().st_mtime, reverse=True)
    for layout in newest_first[count:]:
        shutil.rmtree(layout)


def _buildah(*arguments: str, log: Path) -> None:
    _run([*_command(), *arguments], log=log)


def _run(command: Sequence[str], *, log: Path) -> None:
    with log.open("ab") as output:
        # The kernel ends the program when we are killed: an orphan would hold the store's locks.
        done = subprocess.run(["setpriv", "--pdeathsig", "TERM", *ISOLATED, *command], check=False, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    if done.returncode:
        raise StepFailed(f"{command[0]} failed with exit code {done.returncode}", log=log)


def _command() -> list[str]:
    folder = cache_folder()
    return ["buildah", "--root", str(folder / "store"), "--runroot", str(folder / "run"), "--storage-driver", _driver()]


def _driver() -> str:
    chosen = cache_folder() / "store" / "driver"
    if not chosen.exists():
        chosen.parent.mkdir(parents=True, exist_ok=True)
        chosen.write_text(_working_driver(cache_folder()), encoding="utf-8")
    return chosen.read_text(encoding="utf-8")


def _working_driver(folder: Path) -> str:
    complaints = []
    for driver in DRIVERS:
        with tempfile.TemporaryDirectory(prefix=".building-", dir=folder) as scratch:
            tried = subprocess.run(
                [*ISOLATED, "buildah", "--root", f"{scratch}/store", "--runroot", f"{scratch}/run", "--storage-driver", driver, "info"],
                check=False,
                capture_output=True,
                text=True,
            )
        if tried.returncode == 0:
            return driver
        complaints.append(f"{driver}: {tried.stderr.strip()}")
    raise StepFailed("buildah has no storage driver that works here: " + "; ".join(complaints))
