"""Keyless signing with the real programs: Fulcio certifies, Rekor version 2 logs, the timestamp authority dates. Needs no cluster.

Services that fail are tests/faults/test_keyless.py's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sigstore.dsse import Statement
from sigstore.errors import VerificationError
from sigstore.models import Bundle, ClientTrustConfig, TrustedRoot
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity

from e2e.sigstore.identity_provider import IdentityProvider
from e2e.sigstore.instance import CONFIG, ROOT, SigstoreInstance
from sluice.cli import main

TRAINER = "trainer@example.com"
ABOUT = "sha256:" + "a" * 64

# The CA that Fulcio keeps in memory says that it is in "USA": a country has two letters.
pytestmark = pytest.mark.filterwarnings("ignore:Attribute's length must be:UserWarning")


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigstoreInstance]:
    with SigstoreInstance(tmp_path_factory.mktemp("sigstore"), TRAINER) as running:
        yield running


def sign(instance: SigstoreInstance, *what: object, token: Path | None = None) -> Result:
    keyless = ("--keyless", "--trust-config", instance.folder / CONFIG, "--identity-token-file", token or instance.token(TRAINER))
    with instance.network():
        return CliRunner().invoke(main, ["sign", *map(str, (*what, *keyless, "-o", "json"))])


def sign_statement(instance: SigstoreInstance, folder: Path, *, token: Path | None = None) -> Result:
    (folder / "predicate.json").write_text('{"score": 0.5}')
    about = ("--predicate-type", "https://example.com/v1", "--predicate", folder / "predicate.json", "--subject", f"m={ABOUT}")
    return sign(instance, "statement", *about, "--bundle", folder / "out.json", token=token)


def verify(instance: SigstoreInstance, *what: object, identity: str = TRAINER, issuer: str = "") -> Result:
    """Outside of the network of the instance: verifying is offline."""
    trusted = ("--trust-root", instance.folder / ROOT, "--identity", identity, "--issuer", issuer or instance.issuer, "-o", "json")
    return CliRunner().invoke(main, ["verify", *map(str, (*what, *trusted))])


def oracle(instance: SigstoreInstance, bundle: Path, *, identity: str = TRAINER, issuer: str = "") -> dict[str, Any]:
    """What the statement says, as sigstore-python verifies it. Raises VerificationError."""
    verifier = Verifier(trusted_root=TrustedRoot.from_file(str(instance.folder / ROOT)))
    _, payload = verifier.verify_dsse(Bundle.from_json(bundle.read_bytes()), Identity(identity=identity, issuer=issuer or instance.issuer))
    statement: dict[str, Any] = json.loads(payload)
    return statement


def test_a_statement_that_is_signed_keyless_verifies_here_and_with_sigstore_python_and_for_nobody_else(instance: SigstoreInstance, tmp_path: Path) -> None:
    done = sign_statement(instance, tmp_path)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["identity"], told["issuer"]) == (TRAINER, instance.issuer)
    bundle = tmp_path / "out.json"
    verified = verify(instance, "bundle", bundle, "--artifact", ABOUT)
    assert verified.exit_code == 0, verified.output
    assert json.loads(verified.stdout)["signedAt"] == told["signedAt"] is not None
    assert oracle(instance, bundle)["predicate"] == {"score": 0.5}
    for identity, issuer in (("somebody@example.com", ""), (TRAINER, "https://accounts.example.com")):
        refused = verify(instance, "bundle", bundle, identity=identity, issuer=issuer)
        assert (refused.exit_code, json.loads(refused.stdout)["reason"]) == (1, "SignerUnexpected")
        with pytest.raises(VerificationError):
            oracle(instance, bundle, identity=identity, issuer=issuer)


def test_a_model_that_is_signed_keyless_verifies_on_disk_and_its_statement_with_sigstore_python(instance: SigstoreInstance, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights.bin").write_bytes(b"weights")
    done = sign(instance, "model", model)
    assert done.exit_code == 0, done.output
    assert verify(instance, "model", model).exit_code == 0
    assert oracle(instance, model / "model.sig")["predicateType"] == "https://model_signing/signature/v1.0"
    (model / "weights.bin").write_bytes(b"others")
    assert verify(instance, "model", model).exit_code == 1


def test_what_sigstore_python_signs_verifies_here(instance: SigstoreInstance, tmp_path: Path) -> None:
    about = [{"name": "m", "digest": {"sha256": "a" * 64}}]
    statement = {"_type": "https://in-toto.io/Statement/v1", "subject": about, "predicateType": "https://example.com/v1", "predicate": {}}
    config = ClientTrustConfig.from_json((instance.folder / CONFIG).read_text())
    token = IdentityToken(instance.token(TRAINER).read_text())
    with instance.network(), SigningContext.from_trust_config(config).signer(token) as signer:
        (tmp_path / "theirs.json").write_text(signer.sign_dsse(Statement(json.dumps(statement).encode())).to_json())
    verified = verify(instance, "bundle", tmp_path / "theirs.json", "--artifact", ABOUT)
    assert verified.exit_code == 0, verified.output


def test_fulcio_refuses_a_token_of_a_provider_that_it_does_not_know_and_nothing_is_written(instance: SigstoreInstance, tmp_path: Path) -> None:
    with IdentityProvider() as foreign:
        (tmp_path / "token").write_text(foreign.token(TRAINER))
    done = sign_statement(instance, tmp_path, token=tmp_path / "token")
    assert (done.exit_code, (tmp_path / "out.json").exists()) == (3, False)
    assert "Fulcio (http://127.0.0.1:5555) refuses: 400" in done.stderr
    assert (tmp_path / "token").read_text() not in done.output
