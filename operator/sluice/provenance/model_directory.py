"""The manifest of a model on disk: what a signer signs and what a verifier before the server compares.

Reads every byte once, in chunks. Links and special files are refused: what they lead to can change after hashing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.model_signature import FILE_LIMIT, ModelFile, ModelManifest, manifest, oms_root


def manifest_of(directory: Path, *, leave_out: Collection[str] = ()) -> ModelManifest:
    """The manifest of all files below `directory`, by SHA-256; `leave_out` names files at its top that are not the model's (the bundle itself).

    Raises ProvenanceError (ManifestMalformed) for links, special files, more than 20,000 files or a folder without files, and OSError when
    something cannot be read.
    """
    files: list[ModelFile] = []
    for path in _files_below(directory):
        name = path.relative_to(directory).as_posix()
        if name in leave_out:
            continue
        if len(files) == FILE_LIMIT:
            raise ProvenanceError(Reason.ManifestMalformed, f"{directory} holds more than {FILE_LIMIT:,} files")
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            raise ProvenanceError(Reason.ManifestMalformed, f"file name {name!r} is not UTF-8") from None
        with path.open("rb") as content:
            files.append(ModelFile(name, "sha256", hashlib.file_digest(content, "sha256").hexdigest()))
    files.sort(key=lambda file: file.name.encode("utf-8"))
    return manifest(model_name=directory.name, files=files, root=oms_root(files))


def _files_below(directory: Path) -> Iterator[Path]:
    with os.scandir(directory) as entries:
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                yield from _files_below(path)
            elif entry.is_file(follow_symlinks=False):
                yield path
            else:
                raise ProvenanceError(Reason.ManifestMalformed, f"{path} is a link or a special file; a model consists of plain files")
