"""The statement that a model signature signs: the list of the files, how it was made, and its root.

The same files make the same bytes, so that two signatures of one model can be compared.

Specification: https://github.com/ossf/model-signing-spec, SPEC.md 5 and 6.4 to 6.6
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sluice.provenance.model_shards import listed
from sluice.provenance.model_signature import PREDICATE_TYPE, ModelManifest
from sluice.provenance.statement import STATEMENT_TYPE
from sluice.provenance.strict_json import JsonObject, JsonValue, canonical

GIT_PATHS: Final = (".git", ".gitattributes", ".github", ".gitignore")
"""What signers leave out by default (6.2), at the top of the model only."""


def model_statement(manifest: ModelManifest, *, left_out: Iterable[str] = ()) -> bytes:
    """Write the statement about `manifest`; `left_out` names what else was not listed, such as the bundle itself."""
    file = manifest.files[0]
    entries: list[JsonValue] = [{"name": name, "digest": digest, "algorithm": file.algorithm} for name, digest in listed(manifest.files)]
    ignored: list[JsonValue] = [*sorted({*manifest.uncovered, *left_out})]
    serialization: JsonObject = {
        "method": "shards" if file.shard_size else "files",
        "hash_type": file.algorithm,
        "allow_symlinks": manifest.follows_links,
        "ignore_paths": ignored,
    }
    if file.shard_size:
        serialization["shard_size"] = file.shard_size
    statement: JsonObject = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": manifest.model_name, "digest": {"sha256": manifest.oms_root.removeprefix("sha256:")}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {"resources": entries, "serialization": serialization},
    }
    return canonical(statement)
