"""Whose signatures can be verified at all. Who may sign what is policy, and decided elsewhere.

`TrustAnchors` holds parsed material; build it once per TrustRoot object and keep it. Its digest names the trust root and its material, so that a fact that
was established under one name is never shown under another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sluice.api.trust import TrustRootSpec, Undated
from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.keys import RsaPadding, VerificationKey
from sluice.provenance.private_pki import CertificateRoots
from sluice.provenance.sigstore_root import SigstoreRoot
from sluice.provenance.strict_json import JsonValue, canonical
from sluice.provenance.witnesses import Thresholds

KEY_LIMIT = 16
ONE_LOG = Thresholds(logs=1, timestamps=0)
"""What a certificate of Sigstore needs at least."""
NO_WITNESS = Thresholds(logs=0, timestamps=0)
"""What a plain key needs at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustAnchors:
    """The material of one trust root: a Sigstore instance, the authorities of a private PKI, or named public keys."""

    name: str
    digest: str
    """`sha256:` over the name and the canonical material; facts are cached under it."""
    root: SigstoreRoot | None = field(default=None, repr=False, compare=False)
    """Whose certificates count."""
    authorities: CertificateRoots | None = field(default=None, repr=False, compare=False)
    """Whose certificates count, where there is no Sigstore."""
    named_keys: Mapping[str, VerificationKey] = field(default_factory=lambda: MappingProxyType({}), repr=False, compare=False)
    """Which keys count."""
    witnesses: SigstoreRoot | None = field(default=None, repr=False, compare=False)
    """Whose logs and timestamps count beside a plain key; None: nobody's, and what a bundle brings of them is not looked at."""
    required: Thresholds = NO_WITNESS

    @classmethod
    def of_spec(cls, name: str, spec: TrustRootSpec) -> TrustAnchors:
        """Read the material of the TrustRoot `name`. Raises ProvenanceError (TrustRootMalformed)."""
        if spec.sigstore is not None:
            asked = spec.sigstore.thresholds
            return cls.sigstore(name, spec.sigstore.trusted_root, required=Thresholds(logs=asked.logs, timestamps=asked.timestamps))
        if spec.certificate_authorities is not None:
            private = spec.certificate_authorities
            return cls.certificates(
                name,
                private.pem,
                timestamp_pem=private.timestamp_pem or "",
                undated=private.undated is Undated.ACCEPT,
                required=Thresholds(logs=0, timestamps=private.timestamps),
            )
        keys = spec.keys or []
        return cls.keys(name, {key.name: key.pem for key in keys}, rsa_padding={key.name: key.rsa_padding for key in keys})

    @classmethod
    def sigstore(cls, name: str, text: str, *, required: Thresholds = ONE_LOG) -> TrustAnchors:
        """Trust in certificates of the Sigstore instance whose `trusted_root.json` is `text`. Raises ProvenanceError (TrustRootMalformed)."""
        root = SigstoreRoot(text)
        material: dict[str, JsonValue] = {"name": name, "sigstore": sha256_of(root.canonical), "required": _words(required)}
        return cls(name=name, digest=sha256_of(canonical(material)), root=root, required=required)

    @classmethod
    def certificates(cls, name: str, pem: str, *, timestamp_pem: str = "", undated: bool = False, required: Thresholds = NO_WITNESS) -> TrustAnchors:
        """Trust in certificates below the authorities of `pem`, dated by timestamps of those of `timestamp_pem`, or by nobody when `undated`.

        Raises ProvenanceError (TrustRootMalformed).
        """
        roots = CertificateRoots(pem, timestamp_pem=timestamp_pem, undated=undated)
        of_roots, of_timestamps = roots.fingerprints
        material: dict[str, JsonValue] = {
            "name": name,
            "certificateAuthorities": list[JsonValue](sorted(of_roots)),
            "timestampAuthorities": list[JsonValue](sorted(of_timestamps)),
            "undated": undated,
            "required": _words(required),
        }
        return cls(name=name, digest=sha256_of(canonical(material)), authorities=roots, required=required)

    @classmethod
    def keys(
        cls,
        name: str,
        pems: Mapping[str, str],
        *,
        rsa_padding: Mapping[str, RsaPadding] = MappingProxyType({}),
        witnesses: str | None = None,
        required: Thresholds = NO_WITNESS,
    ) -> TrustAnchors:
        """Trust in the public keys of `pems` (name to PEM), and in the logs and timestamp authorities of the trusted root `witnesses`.

        `rsa_padding` says by name which RSA keys sign otherwise than with PKCS #1 v1.5. Raises ProvenanceError (TrustRootMalformed).
        """
        if not 1 <= len(pems) <= KEY_LIMIT:
            raise ProvenanceError(Reason.TrustRootMalformed, f"trust root {name!r} has {len(pems)} keys; it needs 1 to {KEY_LIMIT}")
        loaded = {
            key_name: VerificationKey.from_pem(key_name, pem, rsa_padding=rsa_padding.get(key_name, RsaPadding.PKCS1V15))
            for key_name, pem in sorted(pems.items())
        }
        fingerprints: dict[str, JsonValue] = {key_name: key.fingerprint for key_name, key in loaded.items()}
        if len(set(fingerprints.values())) != len(fingerprints):
            # Two names for one key would let one person count as two.
            raise ProvenanceError(Reason.TrustRootMalformed, f"trust root {name!r} has the same key under two names")
        root = None if witnesses is None else SigstoreRoot(witnesses, for_certificates=False)
        material: dict[str, JsonValue] = {
            "name": name,
            "keys": fingerprints,
            "rsaPadding": {key_name: key.rsa_padding.value for key_name, key in loaded.items()},
            "witnesses": None if root is None else sha256_of(root.canonical),
            "required": _words(required),
        }
        return cls(name=name, digest=sha256_of(canonical(material)), named_keys=MappingProxyType(loaded), witnesses=root, required=required)


def _words(required: Thresholds) -> dict[str, JsonValue]:
    return {"logs": required.logs, "timestamps": required.timestamps}
