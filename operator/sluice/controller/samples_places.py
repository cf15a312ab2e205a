"""Where samples of canary runs can be kept: a repository of an OCI registry, or a bucket. The installation names it, never who writes a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from sluice.cluster import bucket, registry
from sluice.cluster.bucket import Bucket, BucketRefused
from sluice.cluster.registry import RegistryRefused, Repository

ARTIFACT_TYPE: Final = "application/vnd.sluice.canary-samples.v1"
MEDIA_TYPE: Final = "application/vnd.sluice.canary-samples.v1+jsonl"


class NotKept(Exception):
    """The place did not take it; the message says why, and holds no credentials."""


class Place(Protocol):
    """Somewhere that keeps bytes under their digest."""

    async def put(self, content: bytes, *, run: str, shards: int) -> str:
        """Keep the samples of `run` (`namespace/name`), and return their URL. Keeping the same twice is keeping it once. Raises NotKept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InRegistry:
    """As the only layer of an artifact."""

    repository: Repository

    async def put(self, content: bytes, *, run: str, shards: int) -> str:
        """Push it; the URL names the manifest by digest."""
        annotations = {"org.opencontainers.image.title": "samples.jsonl", "sluice.dev/run": run, "sluice.dev/shards": str(shards)}
        try:
            return "oci://" + await registry.push(self.repository, artifact_type=ARTIFACT_TYPE, media_type=MEDIA_TYPE, content=content, annotations=annotations)
        except RegistryRefused as error:
            raise NotKept(str(error)) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class InBucket:
    """As an object whose key is its digest."""

    bucket: Bucket

    async def put(self, content: bytes, *, run: str, shards: int) -> str:
        """Put it where nothing is yet."""
        metadata = {"sluice-run": run, "sluice-shards": str(shards)}
        try:
            return await bucket.put(self.bucket, content, suffix=".jsonl", media_type=MEDIA_TYPE, metadata=metadata)
        except BucketRefused as error:
            raise NotKept(str(error)) from None
