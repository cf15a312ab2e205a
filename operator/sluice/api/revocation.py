"""What is believed no more, and what becomes of what runs because of it.

A revocation is policy, not cryptography: a signature of a stolen key is as valid as it was. So it is looked at with every verdict, takes effect with the next
one, and nothing has to be verified again. One on a `TrustRoot` counts for every release, one on a `ReleasePolicy` for those that the policy selects.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from sluice.api.base import ArtifactDigest, Label, Model, Sha256, Text, Time, Uri, rule, validations

REVOKED_LIMIT = 256
"""Entries of one list. What was signed by a whole CA is one entry: the fingerprint of the CA."""


class RevokedType(StrEnum):
    """What is revoked."""

    KEY = "Key"
    CERTIFICATE = "Certificate"
    IDENTITY = "Identity"
    RELEASE = "Release"
    ARTIFACT = "Artifact"


class OnRevoked(StrEnum):
    """What becomes of a release that runs when it is revoked, from the least to the most. It gets no new Pods in any case."""

    ALERT = "Alert"
    WITHDRAW = "Withdraw"
    SCALE_TO_ZERO = "ScaleToZero"


_SIGNERS = "self.type in ['Key', 'Certificate', 'Identity']"


class Revoked(Model):
    """One thing that is believed no more."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule("self.type == 'Key' || !has(self.key)", "key goes with type Key", field=".key"),
            rule("self.type in ['Key', 'Certificate'] || !has(self.fingerprint)", "fingerprint goes with types Key and Certificate", field=".fingerprint"),
            rule("self.type != 'Key' || has(self.key) != has(self.fingerprint)", "say which key: set exactly one of key, fingerprint", field=".key"),
            rule("self.type == 'Certificate' || !has(self.serial)", "serial goes with type Certificate", field=".serial"),
            rule("has(self.serial) == has(self.issuedBy)", "serial and issuedBy go together: every CA counts for itself", field=".issuedBy"),
            rule(
                "self.type != 'Certificate' || has(self.fingerprint) != has(self.serial)",
                "say which certificate: set exactly one of fingerprint, serial (with issuedBy)",
                field=".fingerprint",
            ),
            rule("(self.type == 'Identity') == has(self.identity)", "identity goes with type Identity, which needs it", field=".identity"),
            rule("(self.type == 'Identity') == has(self.issuer)", "issuer goes with type Identity, which needs it", field=".issuer"),
            rule("(self.type in ['Release', 'Artifact']) == has(self.digest)", "digest goes with types Release and Artifact, which need it", field=".digest"),
            rule("self.type != 'Release' || self.digest.startsWith('sha256:')", "a release digest begins with sha256:", field=".digest"),
            rule(f"{_SIGNERS} || !has(self.since)", "since goes with those who sign; a digest is revoked or not", field=".since"),
        )
    )

    type: RevokedType
    """Key, Certificate, Identity: what they signed counts no more. Release: it may not serve. Artifact: no release that has it, or was made from it, may."""
    key: Label | None = None
    """Key: its name in this TrustRoot."""
    fingerprint: Sha256 | None = None
    """SHA-256 of a public key (DER SubjectPublicKeyInfo), or of a certificate (DER); that of a CA revokes everything that it issued."""
    serial: Annotated[str, StringConstraints(pattern=r"^(0|[1-9a-f][0-9a-f]{0,39})$", max_length=40)] | None = None
    """Certificate: its serial number, in lower-case hexadecimal digits without leading zeros."""
    issued_by: Sha256 | None = None
    """Certificate: SHA-256 of the certificate (DER) of the CA that issued `serial`."""
    identity: Uri | None = None
    """Identity: the subject alternative name in certificates, exact."""
    issuer: Uri | None = None
    """Identity: the OIDC issuer in certificates, exact."""
    digest: ArtifactDigest | None = None
    """Release: its release digest. Artifact: its digest, or that of the OCI manifest that its uri pins."""
    since: Time | None = None
    """Only what was signed from then on, or carries no trusted time. Absent: everything that was ever signed."""
    reason: Text
    """Why, for those whose release it stops."""
    revoked_at: Time | None = None
    """When it was revoked, for people. A revocation counts at once, whatever stands here."""


RevokedList = Annotated[list[Revoked], Field(max_length=REVOKED_LIMIT)]
