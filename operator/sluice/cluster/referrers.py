"""Which Sigstore bundles refer to an artifact in its registry, and their bytes.

The referrers API of OCI 1.1 is asked; where a registry has none, the tag `sha256-<hex>` that clients keep instead. Lists are filtered here and not by the
registry, which may do it or not: a bundle is an entry whose `artifactType` says so. The order is that of the digests, so that two looks at the same things
come to the same; an index inside the index is not followed.

That nothing is found proves nothing: who runs the registry can hide what is in it, and who may push can crowd it. What is found is believed no more than
what somebody attaches: it is verified like any other evidence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sluice.api.evidence import BUNDLE_BASE64_LIMIT
from sluice.api.strict_json import JsonObject, JsonRefused, parse
from sluice.cluster.fetching import Answer, NotFetched, Repository
from sluice.cluster.outbound import Reference
from sluice.decision.discovery_reasons import DiscoveryReason

BUNDLE_BYTES: Final = BUNDLE_BASE64_LIMIT // 4 * 3
"""What fits into a ReleaseEvidence."""
MANIFEST_BYTES: Final = 65_536
LIST_BYTES: Final = 4 << 20
"""What a registry gives in one page: the specification has manifests be no larger."""
MOST_PAGES: Final = 4
MOST_BUNDLES: Final = 32
"""Bundles that refer to one artifact."""
_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_BUNDLE: Final = re.compile(r"application/vnd\.dev\.sigstore\.bundle(\.v[0-9]+\.[0-9]+)?\+json(;\s*version=[0-9.]+)?")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_VALUES: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Referrers:
    """Manifests that hold bundles about one artifact, in the order of their digests; `more` when there are others that are not in here."""

    found: tuple[Reference, ...]
    more: bool = False


async def list_bundles(repository: Repository, subject: Reference) -> Referrers:
    """List the bundles that refer to `subject`. Raises NotFetched."""
    entries: list[JsonObject] = []
    answer = await repository.document(f"referrers/{subject.digest}", limit=LIST_BYTES, accept=_INDEX)
    if answer is None or answer.media_type != _INDEX:
        # A registry without the API answers 404, or with a page for people.
        answer = await repository.document(f"manifests/{subject.digest.replace(':', '-')}", limit=LIST_BYTES, accept=_INDEX)
    pages = 0
    while answer is not None:
        entries += _entries(answer)
        pages += 1
        if answer.following is None or pages >= MOST_PAGES:
            break
        answer = await repository.page(answer.following, limit=LIST_BYTES, accept=_INDEX)
    cut_off = answer is not None and answer.following is not None
    digests = sorted({str(entry["digest"]) for entry in entries if _names_bundle(entry)})
    return Referrers(found=tuple(subject.at(digest) for digest in digests[:MOST_BUNDLES]), more=cut_off or len(digests) > MOST_BUNDLES)


async def fetch_bundle(repository: Repository, reference: Reference) -> bytes:
    """Get the bundle that a manifest holds as its only layer. Raises NotFetched."""
    manifest = _object(await repository.manifest(reference.digest, limit=MANIFEST_BYTES, accept=_MANIFEST), "the manifest")
    layers = manifest.get("layers")
    layer = layers[0] if isinstance(layers, list) and len(layers) == 1 else None
    if not isinstance(layer, dict) or not _is_bundle(layer.get("mediaType")) or not _is_digest(layer.get("digest")):
        raise NotFetched(DiscoveryReason.NotABundle, f"{reference} has not exactly one layer that is a Sigstore bundle")
    size = layer.get("size")
    if not isinstance(size, int) or size > BUNDLE_BYTES:
        raise NotFetched(DiscoveryReason.TooLarge, f"the bundle in {reference} has {str(size)[:20]} bytes; {BUNDLE_BYTES:,} fit into a ReleaseEvidence")
    return await repository.blob(str(layer["digest"]), limit=BUNDLE_BYTES)


def _entries(answer: Answer) -> list[JsonObject]:
    entries = _object(answer.body, "the list of referrers").get("manifests")
    if not isinstance(entries, list):
        raise NotFetched(DiscoveryReason.RegistryRefused, "the list of referrers has no `manifests`")
    return [entry for entry in entries if isinstance(entry, dict)]


def _names_bundle(entry: JsonObject) -> bool:
    return _is_bundle(entry.get("artifactType")) and entry.get("mediaType") == _MANIFEST and _is_digest(entry.get("digest"))


def _is_bundle(media_type: object) -> bool:
    return isinstance(media_type, str) and _BUNDLE.fullmatch(media_type) is not None


def _is_digest(digest: object) -> bool:
    return isinstance(digest, str) and _DIGEST.fullmatch(digest) is not None


def _object(raw: bytes, what: str) -> JsonObject:
    try:
        value = parse(raw, limit=LIST_BYTES, values=_VALUES)
    except JsonRefused as error:
        raise NotFetched(DiscoveryReason.RegistryRefused, f"{what} {error}"[:300]) from None
    if not isinstance(value, dict):
        raise NotFetched(DiscoveryReason.RegistryRefused, f"{what} is no JSON object")
    return value
