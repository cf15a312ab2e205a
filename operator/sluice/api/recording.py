"""Recorded pairs as a `CanaryRun` pins them, and the places where a file of cases or pairs is kept.

A suite is shared by all candidates, and a recording is of one. So the suite says only that pairs are counted, and signed evidence about the candidate names
them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from sluice.api.base import SHA256, Model, Name, Sha256, exactly_one, validations


class ConfigMapFile(Model):
    """A file in a ConfigMap."""

    name: Name
    """Name of the ConfigMap."""
    key: Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)]
    """Key in it."""


class ImageFile(Model):
    """A file in an image, which the nodes fetch."""

    reference: Annotated[str, StringConstraints(pattern=rf"^[^@\s]+@{SHA256}$", max_length=1024)]
    """`registry/repository@sha256:…` of the image that holds the file; `sluice suite pack` makes one."""
    path: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_][-._a-zA-Z0-9]*(/[a-zA-Z0-9_][-._a-zA-Z0-9]*)*$", max_length=253)] = "cases.jsonl"
    """Where the file is in it."""


class Recording(Model):
    """What candidate and baseline answered to the same requests, and who vouches for it."""

    model_config = ConfigDict(json_schema_extra=validations(exactly_one("configMap", "oci")))

    digest: Sha256
    """SHA-256 of the file: another one is refused."""
    count: Annotated[int, Field(ge=1, le=1_000_000)]
    """How many questions are in it: another number is refused. Looks are planned before anybody has read the file."""
    evidence: Sha256
    """Digest of the signed bundle that says all this."""
    config_map: ConfigMapFile | None = None
    """A ConfigMap in the same namespace, 1 MiB at most."""
    oci: ImageFile | None = None
    """An image in a registry, 64 MiB at most."""
