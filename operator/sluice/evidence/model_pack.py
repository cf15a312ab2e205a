"""That an OCI manifest carries exactly the files of a signed list, told by the two documents alone: nothing is fetched, and nobody has to be believed.

A ModelPack artifact has its files as layers. One that is neither packed nor compressed (`….v1.raw`) *is* the file, so the digest of the layer is the SHA-256
of the file, which is what a model signature lists. When paths and digests are the same on both sides, the manifest with this digest carries this model.

Limits: layers that are archives say nothing of what is in them; lists in other algorithms than SHA-256, or in shards, cannot be compared. For these a
provenance statement has to tie manifest and files.

Specification: https://github.com/modelpack/model-spec (docs/spec.md: media types, and the annotation for paths)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.model_files import check_path
from sluice.provenance.model_signature import FILE_LIMIT, ModelManifest
from sluice.provenance.strict_json import JsonObject, member, objects, parse_object

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT: Final = "application/vnd.cncf.model.manifest.v1+json"
FILE_PATH: Final = "org.cncf.model.filepath"
MANIFEST_BYTES: Final = 1 << 20
_RAW: Final = re.compile(r"application/vnd\.cncf\.model\.(weight|weight\.config|doc|code|dataset)\.v1\.raw")
_MISMATCH: Final = Reason.AttachmentMismatch
_SHOWN: Final = 200


def carriers(signed: ModelManifest, attachments: Mapping[str, bytes]) -> frozenset[str]:
    """Give the digests of the attached manifests, each of which carries exactly the signed files. Raises ProvenanceError (AttachmentMismatch)."""
    return frozenset(_carrier(signed, name, content) for name, content in attachments.items())


def _carrier(signed: ModelManifest, name: str, content: bytes) -> str:
    what = f"attachment {name[:_SHOWN]!r}"
    carried = _files(content, what)
    for file in signed.files:
        if file.algorithm != "sha256" or file.shard_size:
            raise ProvenanceError(_MISMATCH, f"the signature lists {file.name[:_SHOWN]!r} by {file.tagged.partition(':')[0]}; layers are named by sha256")
    listed = {file.name: f"sha256:{file.digest}" for file in signed.files}
    for path in sorted(listed.keys() | carried.keys()):
        if listed.get(path) != carried.get(path):
            raise ProvenanceError(
                _MISMATCH, f"{what}: {path[:_SHOWN]!r} is {carried.get(path, 'in no layer')}, and {listed.get(path, 'not listed')} in what was signed"
            )
    return sha256_of(content)


def _files(content: bytes, what: str) -> dict[str, str]:
    """Path and digest of each layer. Raises ProvenanceError for anything else than a ModelPack manifest of plain files."""
    document = parse_object(content, what=what, limit=MANIFEST_BYTES, reason=_MISMATCH)
    for key, wanted in (("mediaType", MANIFEST), ("artifactType", ARTIFACT)):
        if document.get(key) != wanted:
            raise ProvenanceError(_MISMATCH, f"{what} is no manifest of a ModelPack artifact: its {key} is not {wanted}")
    layers = objects(member(document, "layers", list, where=what, reason=_MISMATCH), where=f"{what}.layers", reason=_MISMATCH, limit=FILE_LIMIT)
    found: dict[str, str] = {}
    for index, layer in enumerate(layers):
        where = f"{what}.layers[{index}]"
        path = _path(layer, where)
        if path in found:
            raise ProvenanceError(_MISMATCH, f"{where}: {path[:_SHOWN]!r} is there twice")
        found[path] = member(layer, "digest", str, where=where, reason=_MISMATCH)
    return found


def _path(layer: JsonObject, where: str) -> str:
    media_type = member(layer, "mediaType", str, where=where, reason=_MISMATCH)
    if not _RAW.fullmatch(media_type):
        raise ProvenanceError(_MISMATCH, f"{where} is of type {media_type[:_SHOWN]!r}, which is not one plain file (application/vnd.cncf.model.….v1.raw)")
    annotations = member(layer, "annotations", dict, where=where, reason=_MISMATCH)
    path = member(annotations, FILE_PATH, str, where=f"{where}.annotations", reason=_MISMATCH)
    try:
        check_path(path)
    except ProvenanceError as error:
        raise ProvenanceError(_MISMATCH, f"{where}: {error}") from None
    return path
