"""Images: two made here out of a static busybox, and others pushed into the cluster's registry from an archive.

The archives are written byte for byte the same each time, so an image keeps its digest as long as busybox does.
"""

import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from e2e.cluster.host import BUSYBOX
from e2e.cluster.narrate import StepFailed
from e2e.cluster.place import Place

NOBODY = 65534
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""What OCI calls the machines that Linux calls otherwise."""
PUSH_SECONDS = 600
DEFAULT_NAME = "image:latest"


def write_busybox_archive(path: Path, *, tag: str, command: Sequence[str]) -> None:
    """Write a docker-archive of an image with busybox and all its applets in /bin, which runs `command` when told nothing else."""
    layer = _layer()
    diff_id = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    config = json.dumps(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Env": ["PATH=/bin"], "Cmd": list(command), "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            "history": [{"created": "1970-01-01T00:00:00Z", "comment": "busybox-static"}],
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [tag], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as archive:
        for member, content in ((name, config), ("layer.tar", layer), ("manifest.json", manifest)):
            _add(archive, member, content)


def _layer() -> bytes:
    applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            archive.addfile(entry)
        _add(archive, "bin/busybox", BUSYBOX.read_bytes(), mode=0o755)
        _add(archive, "etc/passwd", f"root:x:0:0::/:/bin/sh\nnobody:x:{NOBODY}:{NOBODY}::/:/bin/sh\n".encode())
        for applet in sorted(set(applets) - {"busybox"}):
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def push(source: str | Path, *, place: Place, crane: Path, repository: str | None = None) -> str:
    """Push an image into the cluster's registry and give its reference by digest.

    `source` is a docker-archive or oci-archive file, an OCI layout folder, or the name of an image in buildah's store.
    `repository` names it in the registry (`name` or `name:tag`); without it the archive's own name is used.
    Raises StepFailed when the source is none of these or the registry refuses it.
    """
    with tempfile.TemporaryDirectory(prefix="sluice-image-") as scratch:
        image = _as_crane_reads_it(source, Path(scratch))
        if image.is_dir():
            _lend(image, place.registry_folder)
        target = f"{place.registry}/{repository or _own_name(image)}"
        done = subprocess.run([crane, "push", "--insecure", image, target], check=False, capture_output=True, text=True, timeout=PUSH_SECONDS)
    if done.returncode:
        raise StepFailed(f"push of {source} to {target} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def _lend(layout: Path, registry: Path) -> None:
    """Put hard links to the layout's blobs where the registry keeps its own: half a gigabyte that need not be uploaded.

    Without effect where that cannot be, such as on another disk: crane uploads what is not there.
    """
    shelf = registry / "blobs" / "sha256"
    shelf.mkdir(parents=True, exist_ok=True)
    for blob in (layout / "blobs" / "sha256").glob("*"):
        with suppress(OSError):
            os.link(blob, shelf / blob.name)


def _as_crane_reads_it(source: str | Path, scratch: Path) -> Path:
    """Give a docker-archive file or an OCI layout folder with the content of `source`."""
    path = Path(source)
    if path.is_dir():
        return path
    if not path.exists():
        return _from_buildah(str(source), scratch)
    try:
        with tarfile.open(path) as archive:
            names = {name.removeprefix("./") for name in archive.getnames()}
            if "manifest.json" in names:
                return path
            if "oci-layout" in names:
                archive.extractall(scratch / "layout", filter="data")
                return scratch / "layout"
    except tarfile.TarError as error:
        raise StepFailed(f"{path} is no tar archive: {error}") from error
    raise StepFailed(f"{path} is neither a docker-archive (no manifest.json) nor an oci-archive (no oci-layout)")


def _from_buildah(name: str, scratch: Path) -> Path:
    buildah = shutil.which("buildah")
    if buildah is None:
        raise StepFailed(f"{name}: no such file, and without buildah no such image")
    archive = scratch / "image.tar"
    tag = name.rsplit("/", 1)[-1].partition("@")[0]
    done = subprocess.run([buildah, "push", name, f"docker-archive:{archive}:{tag}"], check=False, capture_output=True, text=True)
    if done.returncode:
        raise StepFailed(f"{name}: no such file, and buildah says: {done.stderr.strip()}")
    return archive


def _own_name(image: Path) -> str:
    """Find the name an image calls itself by, without registry and folders."""
    if image.is_dir():
        index = json.loads((image / "index.json").read_text(encoding="utf-8"))
        annotations = index["manifests"][0].get("annotations", {}) if index.get("manifests") else {}
        name = annotations.get("org.opencontainers.image.ref.name", "")
    else:
        with tarfile.open(image) as archive:
            member = archive.extractfile(next(n for n in archive.getnames() if n.removeprefix("./") == "manifest.json"))
            tags = (json.load(member)[0].get("RepoTags") if member else None) or [""]
            name = tags[0]
    short = str(name).rsplit("/", 1)[-1]
    return short if re.fullmatch(r"[a-z0-9][a-z0-9._-]*(:[\w.-]+)?", short) else DEFAULT_NAME
