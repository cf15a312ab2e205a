"""What model_signing 1.1.1 accepts and must not, each in a bundle whose signature holds; and bundles that others published, which do verify."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sluice.provenance.bundle import verify_bundle
from sluice.provenance.bundle_signing import BundleSigner
from sluice.provenance.errors import Reason
from sluice.provenance.model_certificate import verify_by_certificates
from sluice.provenance.model_signature import ModelManifest, parse_model_manifest
from sluice.provenance.model_verification import verify_on_disk
from sluice.provenance.statement import parse_statement
from sluice.provenance.trust import TrustAnchors
from tests.signing import Json, edited, error_of, public_pem

PUBLISHED = Path(__file__).parent / "reference"
FILES = {"signme-1": b"signme-1\n", "signme-2": b"signme-2"}
KEY = ec.generate_private_key(ec.SECP256R1())
ANCHORS = TrustAnchors.keys("keys", {"p256": public_pem(KEY)})
SIGNER = BundleSigner.with_key(KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


def statement(edit: Callable[[Json], object] = lambda _: None) -> Json:
    """A good statement after `edit`, with the root that its list makes then."""
    listed = [{"name": name, "digest": hashlib.sha256(content).hexdigest(), "algorithm": "sha256"} for name, content in FILES.items()]
    made = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": [".git"]}
    document: Json = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": ""}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {"resources": listed, "serialization": made},
    }
    edit(document)
    digests = b"".join(bytes.fromhex(each["digest"]) for each in listed)
    document["subject"][0]["digest"]["sha256"] = hashlib.sha256(digests).hexdigest()
    return document


def read(payload: bytes) -> ModelManifest:
    """Sign `payload`, verify it and read the list."""
    return parse_model_manifest(parse_statement(verify_bundle(SIGNER.sign(payload), ANCHORS).payload))


def text(edit: Callable[[Json], object] = lambda _: None) -> str:
    return json.dumps(statement(edit))


def first(document: Json) -> Json:
    return document["predicate"]["resources"][0]


def serialization_of(document: Json) -> Json:
    return document["predicate"]["serialization"]


def test_the_good_one_is_read() -> None:
    assert {file.name for file in read(text().encode()).files} == set(FILES)


def named(name: str) -> str:
    return text(lambda d: first(d).update(name=name))


def left_out(paths: Json) -> str:
    return text(lambda d: serialization_of(d).update(ignore_paths=paths))


def links(value: Json) -> str:
    return text(lambda d: serialization_of(d).update(allow_symlinks=value))


def digest(change: Callable[[str], str]) -> str:
    return text(lambda d: first(d).update(digest=change(first(d)["digest"])))


NAMES = ("./x", "a/./b", "a//b", "x/", "../x", "/etc/x", ".", "", "a\\b", "a\0b")
PATHS: tuple[Json, ...] = (".", "*", "*.bin", "a?", "[a]", "..", "../x", "/etc", "", "a/", 7, 1.5, None, True, [], {}, "a\0b")
NO_BOOLEANS: tuple[Json, ...] = ("false", 0, 1, None, [])
TRAPS: dict[str, str] = {
    "nothing listed and everything left out": text(lambda d: (d["predicate"]["resources"].clear(), serialization_of(d).update(ignore_paths=["."]))),
    **{f"name {name!r}": named(name) for name in NAMES},
    "the same name twice": named("signme-2"),
    **{f"left out {path!r}": left_out([path]) for path in PATHS},
    "paths to leave out that are no list": left_out("model.sig"),
    **{f"links {value!r}": links(value) for value in NO_BOOLEANS},
    "a digest in upper case": digest(str.upper),
    "a digest after a space": digest(lambda digits: " " + digits),
    "a digest before a line's end": digest(lambda digits: digits + "\n"),
    "a digest with a space": digest(lambda digits: digits[:32] + " " + digits[32:]),
    "an algorithm of another name": text(lambda d: (serialization_of(d).update(hash_type="SHA256"), first(d).update(algorithm="SHA256"))),
    "a member twice": text().replace('"method": "files"', '"method": "files", "method": "files"'),
    "NaN": text().replace('"ignore_paths"', '"more": NaN, "ignore_paths"'),
    "Infinity": text().replace('"ignore_paths"', '"more": -Infinity, "ignore_paths"'),
    "a half of a character": text().replace('"ignore_paths"', '"more": "\\ud800", "ignore_paths"'),
    "more after the end": text() + "{}",
    "a second subject that nothing could be matched with": text(lambda d: d["subject"].append({"name": "more", "digest": {"sha512": "a" * 128}})),
    "a statement of in-toto 0.1": text(lambda d: d.update(_type="https://in-toto.io/Statement/v0.1")),
}


@pytest.mark.parametrize("payload", TRAPS.values(), ids=TRAPS)
def test_a_signed_statement_with_two_readings_is_refused(payload: str) -> None:
    assert error_of(lambda: read(payload.encode())).reason in {Reason.ManifestMalformed, Reason.StatementMalformed}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1"])
def test_a_signed_statement_in_another_encoding_is_refused(encoding: str) -> None:
    payload = text(lambda d: first(d).update(name="ä")).replace("\\u00e4", "ä").encode(encoding)
    assert error_of(lambda: read(payload)).reason is Reason.StatementMalformed


def test_a_signature_over_the_encoding_of_version_0_2_does_not_hold() -> None:
    """It put Python's own spelling of bytes where the bytes belong."""
    payload = text().encode()
    kind = "application/vnd.in-toto+json"
    old = f"DSSEV1 {len(kind)} {kind} {len(payload)} {payload!r}".encode()
    sig = base64.b64encode(KEY.sign(old, ec.ECDSA(hashes.SHA256()))).decode()
    raw = edited(SIGNER.sign(payload), lambda d: d["dsseEnvelope"]["signatures"][0].update(sig=sig))
    assert error_of(lambda: verify_bundle(raw, ANCHORS)).reason is Reason.SignatureInvalid


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d["dsseEnvelope"]["signatures"].append({"sig": "AAAA"}),
        lambda d: d["dsseEnvelope"]["signatures"].insert(0, {"sig": "AAAA"}),
        lambda d: d["dsseEnvelope"].update(payload=d["dsseEnvelope"]["payload"][:8] + "\n" + d["dsseEnvelope"]["payload"][8:]),
        lambda d: d["dsseEnvelope"].update(payload=d["dsseEnvelope"]["payload"] + "!"),
        lambda d: d["dsseEnvelope"]["signatures"][0].update(sig=d["dsseEnvelope"]["signatures"][0]["sig"] + " "),
    ],
)
def test_a_second_signature_and_junk_in_base64_are_refused(edit: Callable[[Json], object]) -> None:
    assert error_of(lambda: verify_bundle(edited(SIGNER.sign(text().encode()), edit), ANCHORS)).reason is Reason.BundleMalformed


def test_a_statement_of_version_0_2_is_no_model_signature() -> None:
    old = text(lambda d: d.update(predicateType="https://model_signing/Digests/v0.1"))
    assert error_of(lambda: read(old.encode())).reason is Reason.PredicateMalformed


@pytest.fixture
def model(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_a_published_bundle_of_model_signing_1_0_verifies_with_its_key_and_the_key_inside_counts_for_nothing(model: Path) -> None:
    raw = (PUBLISHED / "published-key.sig").read_bytes()
    pem = base64.b64decode(json.loads(raw)["verificationMaterial"]["publicKey"]["rawBytes"]).decode()
    envelope = verify_bundle(raw, TrustAnchors.keys("published", {"key": pem}))
    assert verify_on_disk(parse_model_manifest(parse_statement(envelope.payload)), model / "signme-1").files == 1
    assert error_of(lambda: verify_bundle(raw, ANCHORS)).reason is Reason.SignatureInvalid


def test_the_specifications_own_example_verifies_though_its_signer_is_an_authority_and_its_authorities_are_rsa(model: Path) -> None:
    raw = (PUBLISHED / "published-certificate.sig").read_bytes()
    chain = json.loads(raw)["verificationMaterial"]["x509CertificateChain"]["certificates"]
    above = x509.load_der_x509_certificate(base64.b64decode(chain[1]["rawBytes"])).public_bytes(serialization.Encoding.PEM).decode()
    envelope = verify_by_certificates(raw, above, now=datetime(2026, 1, 1, tzinfo=UTC))
    signed = parse_model_manifest(parse_statement(envelope.payload))
    assert verify_on_disk(signed, model).files == 2
    assert signed.uncovered == (".git", ".gitattributes", ".github", ".gitignore", "ignore-me")
    assert error_of(lambda: verify_by_certificates(raw, above, now=datetime(2036, 1, 1, tzinfo=UTC))).reason is Reason.CertificateUntrusted
