"""`TrustRoot`: whose signatures can be verified at all. Who may sign what is said in `ReleasePolicy`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from sluice.api.base import LIST_MAP_BY_NAME, Conditions, Label, Model, Sha256, exactly_one, rule, validations
from sluice.api.revocation import RevokedList


class RsaPadding(StrEnum):
    """How an RSA key signs (RFC 8017)."""

    PKCS1V15 = "PKCS1v15"
    PSS = "PSS"


class Undated(StrEnum):
    """What becomes of a signature that no timestamp dates."""

    REFUSE = "Refuse"
    ACCEPT = "Accept"


class Thresholds(Model):
    """How many distinct authorities have to vouch for each signature. Those of one operator are one; so are several keys or entries of one log."""

    logs: Annotated[int, Field(ge=1, le=8)] = 1
    """Transparency logs that have the signature."""
    timestamps: Annotated[int, Field(ge=0, le=8)] = 0
    """RFC 3161 timestamp authorities that have seen it."""


class SigstoreTrust(Model):
    """A Sigstore instance, public or private."""

    trusted_root: Annotated[str, StringConstraints(min_length=1, max_length=262_144)]
    """A Sigstore `trusted_root.json` (`application/vnd.dev.sigstore.trustedroot+json;version=0.1`)."""
    thresholds: Thresholds = Thresholds()
    """How many witnesses a signature needs."""


class PublicKey(Model):
    """A public key."""

    name: Label
    """Name that policies use."""
    pem: Annotated[str, StringConstraints(min_length=1, max_length=8192)]
    """PEM SubjectPublicKeyInfo: ECDSA P-256/384/521, Ed25519 or RSA of 2048 bits or more."""
    rsa_padding: RsaPadding = RsaPadding.PKCS1V15
    """How the key signs if it is RSA; a signature made the other way is refused."""


class CertificateTrust(Model):
    """The authorities of a private PKI. A signing certificate is for code signing; its bundle brings the intermediates, in order."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule(
                "has(self.timestampPem) || (has(self.undated) && self.undated == 'Accept')",
                "give timestampPem, or set undated to Accept: otherwise no signature could ever count",
            ),
            rule("!has(self.timestamps) || self.timestamps == 0 || has(self.timestampPem)", "timestamps needs timestampPem", field=".timestamps"),
        )
    )

    pem: Annotated[str, StringConstraints(min_length=1, max_length=131_072)]
    """PEM certificates of the roots, 1 to 16. A policy's `issuer` is the root's subject, its `identity` the one name in the certificate, or its subject."""
    timestamp_pem: Annotated[str, StringConstraints(min_length=1, max_length=131_072)] | None = None
    """PEM certificates of the roots of RFC 3161 timestamp authorities, and of units that leave their own out of what they sign. Only they can say when."""
    timestamps: Annotated[int, Field(ge=0, le=8)] = 0
    """How many distinct timestamp authorities have to date each signature."""
    undated: Undated = Undated.REFUSE
    """Accept: a signature without a timestamp counts as well, whenever it was made: one of an expired certificate too, until the certificate is revoked."""


class TrustRootSpec(Model):
    """Exactly one kind of trust."""

    model_config = ConfigDict(json_schema_extra=validations(exactly_one("sigstore", "keys", "certificateAuthorities")))

    sigstore: SigstoreTrust | None = None
    """Trust in certificates that a Sigstore instance issues and logs."""
    keys: Annotated[list[PublicKey], Field(min_length=1, max_length=16, json_schema_extra=LIST_MAP_BY_NAME)] | None = None
    """Trust in plain public keys."""
    certificate_authorities: CertificateTrust | None = None
    """Trust in certificates of a private PKI, without a Sigstore."""
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
