"""Real attestations of published packages verify with the root that they belong to, and with no other; see attestations/README.md."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from sluice.provenance.bundle import verify_bundle
from sluice.provenance.errors import Reason
from sluice.provenance.statement import parse_statement
from sluice.provenance.trust import TrustAnchors
from tests.conformance.sigstore_client import public_root
from tests.signing import Json, edited, flipped, refusal

FOLDER = Path(__file__).parent / "attestations"
IN_TOTO = "application/vnd.in-toto+json"
GITHUB, GITLAB = "https://token.actions.githubusercontent.com", "https://gitlab.com"

# SHA-256 of the package that each is about.
PACKAGES = {
    "circleci_sign_publish_example-0.0.1.dev137-py3-none-any.whl": "8cb34da1e27336f11a2c43f3f9c7433bd76f24f470c904724f06ad7f131d9e9f",
    "gcb_attestation_test-0.0.0.tar.gz": "461317362419124b6012e855423a9078d6de8aed3e74fa78cc74d669b23dc6cf",
    "gitlab_oidc_project-0.0.3.tar.gz": "c1ca9b0d85df1606451098233018534497bf584362e10e4a8c21dfaea92c02a8",
    "pypi_attestation_models-0.0.4a2.tar.gz": "c9709ce6fd5b67b59b4a28758cf14d3f411803c4b89b6068b1f1a8e4ee94c8ef",
    "pypi_attestations-0.0.19.tar.gz": "9bb1add04b1b4e182be6b0b80931593f7a291eb49d69b4fd728a5d4cbcdc4bd3",
    "rfc8785-0.1.2-py3-none-any.whl": "c4e92e9ecc828bef2aa7dba1de8ac983511f7532a0df11c770d39099a25cf201",
}
FILES = sorted(path.name for path in FOLDER.iterdir() if path.name != "README.md")
STAGING = {name for name in FILES if name.startswith(("rfc8785", "spt3g"))}


@cache
def anchors(*, staging: bool) -> TrustAnchors:
    return TrustAnchors.sigstore("public", public_root(staging=staging))


@cache
def as_bundle(name: str) -> bytes:
    document = json.loads((FOLDER / name).read_bytes())
    if name.endswith(".sigstore"):
        return (FOLDER / name).read_bytes()
    if name.endswith(".provenance"):
        document = document["attestation_bundles"][0]["attestations"][0]
    material, envelope = document["verification_material"], document["envelope"]
    written: Json = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"certificate": {"rawBytes": material["certificate"]}, "tlogEntries": material["transparency_entries"]},
        "dsseEnvelope": {"payload": envelope["statement"], "payloadType": IN_TOTO, "signatures": [{"sig": envelope["signature"]}]},
    }
    return json.dumps(written).encode()


def test_there_are_thirteen_of_them_nine_of_which_the_public_instance_logged() -> None:
    assert (len(FILES), len(STAGING)) == (13, 4)


@pytest.mark.parametrize("name", FILES)
def test_a_published_attestation_verifies_with_its_own_root_and_with_no_other(name: str) -> None:
    verified = verify_bundle(as_bundle(name), anchors(staging=name in STAGING))
    package = next((package for package in PACKAGES if name.startswith(package)), None)
    subjects = {subject.sha256 for subject in parse_statement(verified.payload).subjects}
    assert package is None or subjects == {f"sha256:{PACKAGES[package]}"}
    assert verified.signed_at is not None
    assert len(verified.signer.chain_fingerprints) == 3
    assert refusal(as_bundle(name), anchors(staging=name not in STAGING)) is Reason.CertificateUntrusted


@pytest.mark.parametrize("name", FILES)
def test_a_published_attestation_that_was_changed_does_not_verify(name: str) -> None:
    def sign_otherwise(document: Json) -> None:
        signature = document["dsseEnvelope"]["signatures"][0]
        signature["sig"] = flipped(signature["sig"], 20)

    assert refusal(edited(as_bundle(name), sign_otherwise), anchors(staging=name in STAGING)) is Reason.SignatureInvalid


def test_what_the_forge_says_of_the_build_is_read() -> None:
    signer = verify_bundle(as_bundle("pypi_attestations-0.0.19.tar.gz.slsa.attestation"), anchors(staging=False)).signer
    assert signer.issuer == GITHUB
    assert signer.claims["sourceRepositoryURI"] == "https://github.com/trailofbits/pypi-attestations"
    assert signer.claims["sourceRepositoryIdentifier"].isdigit()
    assert signer.claims["runnerEnvironment"] == "github-hosted"
    assert verify_bundle(as_bundle("gitlab_oidc_project-0.0.3.tar.gz.publish.attestation"), anchors(staging=False)).signer.issuer == GITLAB


@pytest.mark.parametrize(("part", "holder"), [("tlogs", "publicKey"), ("ctlogs", "publicKey"), ("certificateAuthorities", "")])
def test_a_root_whose_material_ended_before_the_signature_does_not_vouch_for_it(part: str, holder: str) -> None:
    def end(document: Json) -> None:
        for entry in document[part]:
            (entry[holder] if holder else entry)["validFor"]["end"] = "2023-01-01T00:00:00Z"

    ended = TrustAnchors.sigstore("public", edited(public_root(), end).decode())
    assert refusal(as_bundle("pypi_attestations-0.0.19.tar.gz.slsa.attestation"), ended) is Reason.TrustExpired
