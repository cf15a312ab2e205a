"""An image with nothing in it but a file of cases, so that a node can mount it into a Pod that scores.

The same file gives the same image, to the byte: no times, no owners, no compression. It is an ordinary image (one tar layer), because that is what container
runtimes unpack; an artifact whose layer is the bare file is mounted by few. Pure: what it makes is an OCI image layout, which every tool pushes.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sluice.api.strict_json import canonical

PATH: Final = "cases.jsonl"
"""Where the file is, unless a suite says otherwise."""
_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """An OCI image layout with one image: `files` by their path in the folder, `digest` of the manifest, by which it is fetched."""

    digest: str
    files: Mapping[str, bytes]


def layout_of(cases: bytes) -> Layout:
    """Make the image of a file of cases."""
    layer = _tar(cases)
    # Data has no architecture. Runtimes compare it only where there is one to choose among several.
    config = canonical({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]}})
    manifest = canonical(
        {"schemaVersion": 2, "mediaType": _MANIFEST, "config": _descriptor(_CONFIG, config), "layers": [_descriptor(_LAYER, layer)]},
    )
    index = canonical({"schemaVersion": 2, "mediaType": _INDEX, "manifests": [_descriptor(_MANIFEST, manifest)]})
    blobs = {f"blobs/{_digest(blob).replace(':', '/')}": blob for blob in (layer, config, manifest)}
    return Layout(digest=_digest(manifest), files={"oci-layout": canonical({"imageLayoutVersion": "1.0.0"}), "index.json": index, **blobs})


def _tar(cases: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo(PATH)
        entry.size, entry.mode = len(cases), 0o444
        archive.addfile(entry, io.BytesIO(cases))
    return buffer.getvalue()


def _descriptor(media_type: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()
