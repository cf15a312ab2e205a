"""Model signatures by certificate: every certificate of the chain is valid now, and for signing code."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from e2e.sigstore.pki import CODE_SIGNING, Issued, certify
from sluice.provenance.bundle import VerifiedEnvelope
from sluice.provenance.bundle_signing import BundleSigner
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.model_certificate import verify_by_certificates
from tests.signing import edited, error_of, flipped, plain_keys

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LONG_AGO, SOON = NOW - 1000 * DAY, NOW + DAY
STATEMENT = b"{}"


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


def authority(name: str, parent: Issued | None = None, *, start: datetime = LONG_AGO, days: int = 2000) -> Issued:
    return certify(key(), name, start=start, days=days, parent=parent, authority=True, purposes=(), signs=False)


def leaf(parent: Issued | None, *, start: datetime = LONG_AGO, days: int = 2000, of_authority: bool = False) -> Issued:
    return certify(key(), "signing-key", start=start, days=days, parent=parent, authority=of_authority)


ROOT = authority("root-ca")
INTERMEDIATE = authority("intermediate-ca", ROOT)


def bundle(signer: Issued, chain: Sequence[Issued] = (INTERMEDIATE,)) -> bytes:
    pem = signer.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return BundleSigner.with_certificate(pem, signer.pem.encode(), "".join(each.pem for each in chain).encode()).sign(STATEMENT)


def verify(raw: bytes, *trusted: Issued) -> VerifiedEnvelope:
    return verify_by_certificates(raw, "".join(each.pem for each in trusted or (ROOT,)), now=NOW)


def refused(raw: bytes, *trusted: Issued) -> Reason:
    return error_of(lambda: verify(raw, *trusted)).reason


def test_a_certificate_below_a_trusted_authority_signs() -> None:
    envelope = verify(bundle(leaf(INTERMEDIATE)))
    assert (envelope.payload, envelope.signer.identity, envelope.signer.issuer) == (STATEMENT, "CN=signing-key", "CN=root-ca")


def test_a_signing_certificate_may_be_an_authority_and_authorities_may_be_rsa_as_in_the_specifications_own_example() -> None:
    root = certify(rsa.generate_private_key(65537, 2048), "root", start=LONG_AGO, days=2000, authority=True, purposes=(), signs=False)
    above = certify(plain_keys()["rsa"], "intermediate-ca", start=LONG_AGO, days=2000, parent=root, authority=True, purposes=(), signs=False)
    assert verify(bundle(leaf(above, of_authority=True), [above]), root).payload == STATEMENT


def test_the_trusted_authority_may_come_along_in_the_bundle() -> None:
    assert verify(bundle(leaf(INTERMEDIATE), [INTERMEDIATE, ROOT])).payload == STATEMENT


@pytest.mark.parametrize(
    ("start", "days"), [(LONG_AGO, 999), (SOON, 100), (datetime(2020, 1, 1, tzinfo=UTC), 1), (NOW + timedelta(seconds=1), 1)],
)  # fmt: skip
def test_a_certificate_that_is_not_valid_now_is_refused_wherever_it_stands(start: datetime, days: int) -> None:
    root = authority("root", start=start, days=days)
    above = authority("intermediate", ROOT, start=start, days=days)
    assert refused(bundle(leaf(INTERMEDIATE, start=start, days=days))) is Reason.CertificateUntrusted
    assert refused(bundle(leaf(above), [above])) is Reason.CertificateUntrusted
    assert refused(bundle(leaf(root), []), root) is Reason.CertificateUntrusted


@pytest.mark.parametrize("purposes", [(), (ExtendedKeyUsageOID.SERVER_AUTH,), (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)])
def test_a_certificate_that_is_not_for_signing_code_is_refused(purposes: Sequence[object]) -> None:
    assert purposes != CODE_SIGNING
    signer = certify(key(), "signing-key", start=LONG_AGO, days=2000, parent=INTERMEDIATE, purposes=purposes)  # type: ignore[arg-type]  # any OIDs
    assert refused(bundle(signer)) is Reason.CertificateUntrusted


def test_another_authority_of_the_same_name_is_another_authority() -> None:
    assert refused(bundle(leaf(INTERMEDIATE)), authority("root-ca")) is Reason.CertificateUntrusted


def test_a_chain_without_its_intermediate_leads_nowhere() -> None:
    assert refused(bundle(leaf(INTERMEDIATE), [])) is Reason.CertificateUntrusted


class TestACertificateThatIsTrustedItself:
    def test_it_signs_though_it_is_no_authority(self) -> None:
        own = leaf(None)
        assert verify(bundle(own, []), own).signer.identity == "CN=signing-key"

    @pytest.mark.parametrize(("start", "days"), [(LONG_AGO, 999), (SOON, 100)])
    def test_it_is_valid_now(self, start: datetime, days: int) -> None:
        own = leaf(None, start=start, days=days)
        assert refused(bundle(own, []), own) is Reason.CertificateUntrusted

    def test_it_is_for_signing_code(self) -> None:
        own = certify(key(), "server", start=LONG_AGO, days=2000, purposes=(ExtendedKeyUsageOID.SERVER_AUTH,))
        assert refused(bundle(own, []), own) is Reason.CertificateUntrusted

    def test_its_signature_has_to_hold(self) -> None:
        own = leaf(None)
        raw = edited(bundle(own, []), lambda d: d["dsseEnvelope"]["signatures"][0].update(sig=flipped(d["dsseEnvelope"]["signatures"][0]["sig"], 12)))
        assert refused(raw, own) is Reason.SignatureInvalid

    def test_one_of_the_same_name_is_another_one(self) -> None:
        assert refused(bundle(leaf(None), []), leaf(None)) in {Reason.CertificateUntrusted, Reason.TrustRootMalformed}


def test_a_bundle_by_a_plain_key_is_not_by_a_certificate() -> None:
    pem = plain_keys()["p256"].private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    assert refused(BundleSigner.with_key(pem).sign(STATEMENT)) is Reason.CertificateUntrusted


@pytest.mark.parametrize("pem", ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "x" * 200_000])
def test_trust_in_no_certificate_is_no_trust(pem: str) -> None:
    assert error_of(lambda: verify_by_certificates(bundle(leaf(INTERMEDIATE)), pem, now=NOW)).reason is Reason.TrustRootMalformed


def test_a_certificate_signs_for_its_own_key_only() -> None:
    one, other = leaf(INTERMEDIATE), leaf(INTERMEDIATE)
    pem = one.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with pytest.raises(ProvenanceError, match="another key"):
        BundleSigner.with_certificate(pem, other.pem.encode())
