"""The three images of this project, built from a Containerfile each, without a container engine.

In: our source, pinned requirements, a Debian mirror, a folder with a model. Out: an OCI layout folder in the cache, and its digest.
Nothing is pushed here; `e2e.cluster` loads a layout into its registry, `crane push` or `skopeo copy` into any other.
"""

from e2e.images.recipes import build_model, build_model_server, build_sluice
from e2e.images.store import Image, prune

__all__ = ["Image", "build_model", "build_model_server", "build_sluice", "prune"]
