"""`TrustRoot`: whose signatures can be verified at all. Who may sign what is said in `ReleasePolicy`."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from sluice.api.base import LIST_MAP_BY_NAME, Conditions, Label, Model, Sha256, exactly_one, validations
from sluice.api.revocation import RevokedList


class SigstoreTrust(Model):
    """A Sigstore instance, public or private."""

    trusted_root: Annotated[str, StringConstraints(min_length=1, max_length=262_144)]
    """A Sigstore `trusted_root.json` (`application/vnd.dev.sigstore.trustedroot+json;version=0.1`)."""


class PublicKey(Model):
    """A public key."""

    name: Label
    """Name that policies use."""
    pem: Annotated[str, StringConstraints(min_length=1, max_length=8192)]
    """PEM SubjectPublicKeyInfo: ECDSA P-256/384/521, Ed25519 or RSA of 2048 bits or more."""


class TrustRootSpec(Model):
    """Exactly one kind of trust."""

    model_config = ConfigDict(json_schema_extra=validations(exactly_one("sigstore", "keys")))

    sigstore: SigstoreTrust | None = None
    """Trust in certificates that a Sigstore instance issues and logs."""
    keys: Annotated[list[PublicKey], Field(min_length=1, max_length=16, json_schema_extra=LIST_MAP_BY_NAME)] | None = None
    """Trust in plain public keys."""
    revoked: RevokedList = []
    """What is believed no more, in every namespace. A change takes effect at once, also on what runs; nothing is verified again."""


class TrustRootStatus(Model):
    """Whether the trust root can be used."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation that this status speaks of."""
    digest: Sha256 | None = None
    """Digest of the trust material; facts are cached under it."""
    conditions: Conditions = []
    """Accepted: the trust material parses."""
