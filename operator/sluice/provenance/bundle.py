"""`verify_bundle`: bytes and trust anchors in, a verified in-toto payload with its signer out.

Two ways to a signer. A certificate: identity and issuer, at a time that a log or a timestamp authority vouches for. A plain key: the name under
which the trust root holds it, and no time, because nobody but the signer could have said one. A log entry beside a plain key is ignored: the
trust root that holds the key holds no log key, so the entry proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from sluice.provenance.certificate import verify_certificate_bundle
from sluice.provenance.envelope import BUNDLE_LIMIT, IN_TOTO_PAYLOAD_TYPE, UnverifiedBundle, read_bundle
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.keys import VerificationKey
from sluice.provenance.strict_json import member, optional
from sluice.provenance.trust import TrustAnchors


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who signed, as far as the trust root can tell. Either `identity` and `issuer`, or `key`."""

    trust_root: str
    """Name of the trust root."""
    key_fingerprint: str
    """`sha256:` over the DER SubjectPublicKeyInfo of the key that signed; with a certificate, a key of one signature only."""
    identity: str | None = None
    """The certificate's one subject alternative name."""
    issuer: str | None = None
    """Who vouched for the identity (an OIDC issuer)."""
    key: str | None = None
    """The key's name in the trust root."""
    claims: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    """What the identity provider said of the build (`buildSignerURI`, `sourceRepositoryIdentifier`, …: Fulcio's extensions); empty without a certificate."""
    chain_fingerprints: tuple[str, ...] = ()
    """`sha256:` over each DER certificate of the chain, the signer's own first; empty for a plain key."""
    serial: str | None = None
    """The certificate's serial number in lower-case hexadecimal digits without leading zeros."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedEnvelope:
    """A payload and who signed it."""

    payload_type: str
    payload: bytes
    signer: Signer
    signed_at: datetime | None
    """When, by a log or a timestamp authority; None for a plain key."""
    bundle_digest: str


def verify_bundle(raw: bytes, anchors: TrustAnchors, *, limit: int = BUNDLE_LIMIT) -> VerifiedEnvelope:
    """Verify the Sigstore bundle (v0.3, DSSE) in `raw`, at most `limit` bytes, against `anchors`.

    Raises ProvenanceError and nothing else.
    """
    with closed(Reason.BundleMalformed, "the bundle does not parse"):
        bundle = read_bundle(raw, limit=limit)
        if "publicKey" in bundle.material:
            signer, signed_at = _by_key(bundle, anchors), None
        else:
            signer, signed_at = _by_certificate(bundle, anchors)
        return VerifiedEnvelope(payload_type=IN_TOTO_PAYLOAD_TYPE, payload=bundle.payload, signer=signer, signed_at=signed_at, bundle_digest=bundle.digest)


def _by_certificate(bundle: UnverifiedBundle, anchors: TrustAnchors) -> tuple[Signer, datetime]:
    if anchors.root is None:
        raise ProvenanceError(Reason.CertificateUntrusted, f"the bundle carries a certificate and trust root {anchors.name!r} holds plain keys")
    certified = verify_certificate_bundle(bundle, anchors.root)
    signer = Signer(
        trust_root=anchors.name,
        key_fingerprint=certified.key_fingerprint,
        identity=certified.identity,
        issuer=certified.issuer,
        claims=certified.claims,
        chain_fingerprints=certified.chain_fingerprints,
        serial=certified.serial,
    )
    return signer, certified.signed_at


def _by_key(bundle: UnverifiedBundle, anchors: TrustAnchors) -> Signer:
    if not anchors.named_keys:
        raise ProvenanceError(Reason.KeyUnknown, f"the bundle is signed with a plain key and trust root {anchors.name!r} holds none")
    if bundle.material.keys() & {"certificate", "x509CertificateChain"}:
        raise ProvenanceError(Reason.BundleMalformed, "the bundle carries a certificate and a plain key; exactly one says who signed")
    where = "verificationMaterial"
    identifier = member(bundle.material, "publicKey", dict, where=where, reason=Reason.BundleMalformed)
    hint = optional(identifier, "hint", str, where=f"{where}.publicKey", reason=Reason.BundleMalformed) or ""
    candidates = _candidates(hint, anchors.named_keys)
    for key in candidates:
        if key.verifies(bundle.signature, bundle.signed_bytes):
            return Signer(trust_root=anchors.name, key_fingerprint=key.fingerprint, key=key.name)
    if len(candidates) == 1:
        raise ProvenanceError(
            Reason.SignatureInvalid, f"the signature is not by key {candidates[0].name!r} of trust root {anchors.name!r}, or what it signed was changed"
        )
    raise ProvenanceError(
        Reason.KeyUnknown,
        f"none of the {len(candidates)} keys of trust root {anchors.name!r} made this signature (hint {hint[:80]!r}), or what it signed was changed",
    )


def _candidates(hint: str, keys: Mapping[str, VerificationKey]) -> list[VerificationKey]:
    """The key that the hint names, by name or fingerprint; all of them when it names none: a hint is no proof of anything."""
    named = [key for key in keys.values() if hint in {key.name, key.fingerprint, key.fingerprint.removeprefix("sha256:")}]
    return named or list(keys.values())
