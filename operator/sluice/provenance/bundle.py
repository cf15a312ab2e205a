"""`verify_bundle`: bytes and trust anchors in, a verified in-toto payload with its signer out.

Two ways to a signer. A certificate: identity and issuer, at a time that a log or a timestamp authority vouches for. A plain key: the name under
which the trust root holds it, and a time only if the trust root says whose logs and timestamps count beside its keys. If it does not, a log entry beside a
plain key is not looked at: nobody said that the log may be believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from sluice.provenance.certificate import verify_certificate_bundle
from sluice.provenance.encoding import encoded
from sluice.provenance.envelope import BUNDLE_LIMIT, IN_TOTO_PAYLOAD_TYPE, UnverifiedBundle, read_bundle
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.keys import VerificationKey
from sluice.provenance.log_body import Signatory
from sluice.provenance.private_pki import verify_pki_bundle
from sluice.provenance.signed_content import SignedContent
from sluice.provenance.trust import TrustAnchors
from sluice.provenance.witnesses import verify_witnesses


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who signed, as far as the trust root can tell. Either `identity` and `issuer`, or `key`."""

    trust_root: str
    """Name of the trust root."""
    key_fingerprint: str
    """`sha256:` over the DER SubjectPublicKeyInfo of the key that signed; with a certificate, a key of one signature only."""
    identity: str | None = None
    """The certificate's one subject alternative name; in a private PKI its subject, where it has no such name."""
    issuer: str | None = None
    """Who vouched for the identity: an OIDC issuer; in a private PKI the subject of the root."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedMessage:
    """An artifact and who signed it."""

    sha256: str
    """`sha256:` over the artifact."""
    signer: Signer
    signed_at: datetime | None
    """When, by a log or a timestamp authority; None when nobody dated it."""
    bundle_digest: str


def verify_bundle(raw: bytes, anchors: TrustAnchors, *, limit: int = BUNDLE_LIMIT) -> VerifiedEnvelope:
    """Verify the Sigstore bundle with a DSSE envelope in `raw`, at most `limit` bytes, against `anchors`.

    Raises ProvenanceError and nothing else.
    """
    with closed(Reason.BundleMalformed, "the bundle does not parse"):
        bundle = read_bundle(raw, limit=limit)
        signer, signed_at = _signer(bundle, SignedContent.of_envelope(bundle), anchors)
        return VerifiedEnvelope(payload_type=IN_TOTO_PAYLOAD_TYPE, payload=bundle.payload, signer=signer, signed_at=signed_at, bundle_digest=bundle.digest)


def verify_message(raw: bytes, artifact: bytes | str, anchors: TrustAnchors, *, limit: int = BUNDLE_LIMIT) -> VerifiedMessage:
    """Verify the Sigstore bundle with a message signature in `raw`, at most `limit` bytes, over `artifact`: its bytes, or `sha256:<hex>`.

    Raises ProvenanceError and nothing else.
    """
    with closed(Reason.BundleMalformed, "the bundle does not parse"):
        bundle = read_bundle(raw, limit=limit)
        signed = SignedContent.of_message(bundle, artifact)
        signer, signed_at = _signer(bundle, signed, anchors)
        return VerifiedMessage(sha256="sha256:" + signed.sha256.hex(), signer=signer, signed_at=signed_at, bundle_digest=bundle.digest)


def _signer(bundle: UnverifiedBundle, signed: SignedContent, anchors: TrustAnchors) -> tuple[Signer, datetime | None]:
    if not bundle.certificates:
        return _by_key(bundle, signed, anchors)
    if anchors.root is not None:
        certified = verify_certificate_bundle(bundle, signed, anchors.root, anchors.required)
    elif anchors.authorities is not None:
        certified = verify_pki_bundle(bundle, signed, anchors.authorities, anchors.required)
    else:
        raise ProvenanceError(Reason.CertificateUntrusted, f"the bundle carries a certificate and trust root {anchors.name!r} holds plain keys")
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


def _by_key(bundle: UnverifiedBundle, signed: SignedContent, anchors: TrustAnchors) -> tuple[Signer, datetime | None]:
    if not anchors.named_keys:
        raise ProvenanceError(Reason.KeyUnknown, f"the bundle is signed with a plain key and trust root {anchors.name!r} holds none")
    key = _key(bundle, signed, anchors)
    signer = Signer(trust_root=anchors.name, key_fingerprint=key.fingerprint, key=key.name)
    if anchors.witnesses is None:
        return signer, None
    seen = verify_witnesses(bundle, signed, Signatory(key=key, certificate=None), anchors.witnesses, anchors.required)
    return signer, seen.signed_at


def _key(bundle: UnverifiedBundle, signed: SignedContent, anchors: TrustAnchors) -> VerificationKey:
    candidates = _candidates(bundle.key_hint, anchors.named_keys)
    if len(candidates) == 1:
        signed.check_signed_by(candidates[0], who=f"key {candidates[0].name!r} of trust root {anchors.name!r}")
        return candidates[0]
    undecided = None
    for key in candidates:
        try:
            signed.check_signed_by(key, who=f"key {key.name!r}")
        except ProvenanceError as error:
            undecided = error if error.reason is Reason.ArtifactNeeded else undecided
        else:
            return key
    if undecided is not None:
        raise undecided
    raise ProvenanceError(
        Reason.KeyUnknown,
        f"none of the {len(candidates)} keys of trust root {anchors.name!r} made this signature (hint {bundle.key_hint[:80]!r}), or what it signed was changed",
    )


def _candidates(hint: str, keys: Mapping[str, VerificationKey]) -> list[VerificationKey]:
    """The key that the hint names, by name or fingerprint; all of them when it names none: a hint is no proof of anything."""
    named = [key for key in keys.values() if hint in {key.name, key.fingerprint, key.fingerprint.removeprefix("sha256:"), _cosign_hint(key)}]
    return named or list(keys.values())


def _cosign_hint(key: VerificationKey) -> str:
    """The fingerprint as cosign writes it: base64."""
    return encoded(bytes.fromhex(key.fingerprint.removeprefix("sha256:")))
