"""What a transparency log promises about a certificate, and how certificates are signed: made wrongly, with signatures that hold."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from e2e.sigstore import authority as issuing
from sluice.provenance.certificate_chain import check_code_signing, is_issued_by
from sluice.provenance.certificate_transparency import check_certificate_logged
from sluice.provenance.keys import spki_of
from sluice.provenance.sigstore_root import SigstoreRoot
from tests.signing import ISSUER, NOW, error_of, sigstore

GOOD = issuing._sct_list


def promised(monkeypatch: pytest.MonkeyPatch, *, times: int = 1, version: int = 0, hashed: int = 4) -> x509.Certificate:
    """A certificate whose promise is there so many times, and says that it is of this version and over this hash."""

    def promises(key: ec.EllipticCurvePrivateKey, milliseconds: int, signature: bytes) -> bytes:
        good = GOOD(key, milliseconds, signature)
        one = good[-(len(signature) + 49) :]
        assert (one[2], one[45:47]) == (0, b"\x04\x03")
        changed = one[:2] + bytes([version]) + one[3:45] + bytes([hashed]) + one[46:]
        every = changed * times
        return issuing._der(0x04, len(every).to_bytes(2, "big") + every)

    monkeypatch.setattr(issuing, "_sct_list", promises)
    names = [x509.UniformResourceIdentifier("https://ci.example/train")]
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    ours = sigstore()
    return issuing.issue(key, names=names, issuer=ISSUER, when=NOW, authority=ours.intermediate, transparency_key=ours.transparency_key)


@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        ({}, ""),
        ({"times": 2}, "has 2 signed certificate timestamps"),
        ({"times": 0}, "has 0 signed certificate timestamps"),
        ({"hashed": 5}, "not over SHA-256"),
    ],
)
def test_exactly_one_promise_over_sha_256_counts(monkeypatch: pytest.MonkeyPatch, how: dict[str, int], complaint: str) -> None:
    certificate, logs = promised(monkeypatch, **how), SigstoreRoot(sigstore().trusted_root_json).certificate_logs

    def check() -> None:
        check_certificate_logged(certificate, spki_of(sigstore().intermediate.key.public_key()), logs)

    if complaint:
        assert complaint in str(error_of(check))
    else:
        check()


def test_a_promise_of_another_version_does_not_parse_or_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, logs = promised(monkeypatch, version=1), SigstoreRoot(sigstore().trusted_root_json).certificate_logs
    with pytest.raises(ValueError, match=r"[Vv]ersion"):
        check_certificate_logged(certificate, spki_of(sigstore().intermediate.key.public_key()), logs)


@pytest.mark.parametrize(
    ("algorithm", "holds"), [(hashes.SHA224(), False), (hashes.SHA256(), True), (hashes.SHA512(), True)], ids=["sha224", "sha256", "sha512"]
)
def test_a_certificate_has_to_be_signed_over_a_hash_that_we_take(algorithm: hashes.HashAlgorithm, holds: bool) -> None:
    above = sigstore().intermediate
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    end = NOW + timedelta(days=1)
    certificate = issuing._certificate("x", key, start=NOW, end=end, parent=above, signing_key=above.key).sign(above.key, algorithm)  # type: ignore[arg-type]
    certificate.verify_directly_issued_by(above.certificate)
    assert is_issued_by(certificate, above.certificate) is holds


def test_an_authority_signs_code_only_where_the_caller_allows_it() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    both = (
        issuing._certificate("x", key.public_key(), start=NOW, end=NOW + timedelta(days=1), parent=None, signing_key=key)
        .add_extension(issuing.key_usage(signatures=True, certificates=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    assert "is a certificate authority's" in str(error_of(lambda: check_code_signing(both)))
    check_code_signing(both, may_be_authority=True)
