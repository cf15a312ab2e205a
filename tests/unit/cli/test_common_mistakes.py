"""What people get wrong first: each of it ends with the code for it, and with what to do instead. Found by trying."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from e2e.sigstore import slsa_statement
from sluice.cli import main
from tests.signing import ISSUER, TRAINER, sign, sigstore

WHO = ("--identity", TRAINER, "--issuer", ISSUER)


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what people have lying about, and the place where they stand."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SLUICE_KEY_PASSWORD", raising=False)
    key = ec.generate_private_key(ec.SECP256R1())
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (tmp_path / "key.pem").write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    (tmp_path / "locked.pem").write_bytes(key.private_bytes(pem, pkcs8, serialization.BestAvailableEncryption(b"secret")))
    (tmp_path / "old.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.BestAvailableEncryption(b"secret")))
    (tmp_path / "key.pub").write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "ca.pem").write_bytes(sigstore().root.certificate.public_bytes(pem))
    (tmp_path / "release.yaml").write_text("kind: ModelRelease\nmetadata: {name: churn}\nspec: {model: churn}\n")
    scorers = "scorers: [{name: accuracy, type: ExactMatch, ignorecase: true}]"
    (tmp_path / "slip.yaml").write_text(
        "kind: ScoringSuite\nspec: {protocol: {type: OpenAIChat, port: 80, model: m}, cases: {inline: '{}'}, " + scorers + "}\n"
    )
    (tmp_path / "short.yaml").write_text("kind: ScoringSuite\nspec: {cases: {inline: '{}'}, scorers: [{name: accuracy, type: ExactMatch}]}\n")
    (tmp_path / "nothing.json").write_text("{}")
    (tmp_path / "tabs.yaml").write_text("kind: TrustRoot\nspec:\n\tkeys: []\n")
    (tmp_path / "nothing").write_text("")
    (tmp_path / "weights.bin").write_text("weights")
    (tmp_path / "bundle.json").write_bytes(sign(slsa_statement({"model": "sha256:" + "0" * 64}, "https://builder.example.com")))
    return tmp_path


def run(command: str, *more: str, **environment: str) -> Result:
    return CliRunner().invoke(main, [*command.split(), *more], env=environment)


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("verify bundle bundle.json --key key.pem", 2, "it is a private key, which nobody else should have; take its public half: openssl pkey"),
        ("verify bundle bundle.json --key ca.pem", 2, "it is a certificate; take its key (openssl x509 -in FILE -noout -pubkey)"),
        ("verify bundle bundle.json --key nothing", 2, "(-----BEGIN PUBLIC KEY-----): there is no such block in it"),
        ("verify bundle bundle.json --certificate-chain key.pub", 2, "no PEM certificate (-----BEGIN CERTIFICATE-----)"),
        ("verify bundle nothing --key key.pub", 1, "BundleMalformed"),
        ("verify bundle . --key key.pub", 2, "is a directory"),
        ("verify bundle bundle.json", 2, "say whom you trust"),
        ("verify bundle bundle.json --key key.pub --artifact " + "A" * 64, 2, "is no file; for a digest write sha256:" + "a" * 64),
        ("verify bundle bundle.json --key key.pub --artifact sha256:12", 2, "64 lower-case hexadecimal digits"),
        ("verify bundle bundle.json --trust-root release.yaml", 2, "release.yaml: this is a ModelRelease, and no TrustRoot"),
        ("verify bundle bundle.json --trust-root tabs.yaml", 2, "tabs.yaml: neither YAML nor JSON"),
        ("verify bundle bundle.json --trust-root key.pub", 2, "a key is given with --key"),
        ("verify bundle bundle.json --trust-root nothing.json", 2, "mediaType: Field required"),
        ("sign model weights.bin --key key.pub", 2, "it is a public key; give the private key that belongs to it"),
        ("sign model weights.bin --key ca.pem", 2, "it is a certificate; give the private key that belongs to it"),
        ("sign model weights.bin --key locked.pem", 2, "it has a password"),
        ("sign model weights.bin --key old.pem", 2, "it has a password"),
        ("sign model weights.bin --key nothing", 2, "there is no PEM private key (-----BEGIN PRIVATE KEY-----)"),
        ("sign model weights.bin --key key.pem --bundle out/weights.sig", 2, "there is no folder 'out'"),
        ("sign model weights.bin --key locked.pem", 2, "locked.pem: the private key cannot be used: it has a password: give it in SLUICE_KEY_PASSWORD"),
        ("sign statement --predicate-type urn:x --predicate nothing.json --subject w=" + "b" * 64 + " --key key.pem --bundle b.json", 2, "sha256:" + "b" * 64),
        ("sign statement --predicate-type urn:x --predicate nothing.json --subject weights.bin --key key.pem --bundle b.json", 2, "write NAME=FILE"),
        ("sign statement --predicate-type urn:x --predicate nothing.json --subject w=weights.bin --key key.pem --bundle out/b.json", 2, "no folder 'out'"),
        (
            "sign statement --predicate-type slsa.dev/provenance/v1 --predicate nothing.json --subject w=weights.bin --key key.pem --bundle b.json",
            2,
            "no URI; write",
        ),
        ("sign statement --predicate-type urn:x --predicate nothing.json --subject w=. --key key.pem --bundle b.json", 2, ". is a folder: `sluice sign model`"),
        ("verify bundle bundle.json --key key.pub --artifact .", 2, "`sluice verify model` verifies it"),
        ("verify model . --key key.pub", 3, "there is no model.sig; say where the signature is, with --bundle FILE"),
        ("evidence create --bundle nothing.json", 2, "nothing.json is no bundle that a cluster would read: bundle has no 'mediaType'"),
        ("evidence create --bundle release.yaml", 2, "release.yaml is no bundle that a cluster would read"),
        ("evidence create --bundle bundle.json --name Eval_1", 2, "'Eval_1': a name has lower-case letters"),
        ("trust import key.pub --name My_Keys", 2, "'My_Keys': a name has lower-case letters"),
        ("trust import ca.pem --name pki", 2, "give --timestamp-authority FILE, or say --accept-undated"),
        ("trust import ca.pem key.pub --name pki", 2, "some of the files are certificates and some are not"),
        ("trust import key.pem --name ci", 2, "it is a private key"),
        ("suite check release.yaml", 2, "release.yaml: this is no ScoringSuite"),
        ("suite check slip.yaml", 2, "slip.yaml: spec.scorers.0.ignorecase: there is no such field; look for a slip in its name"),
        ("suite check short.yaml", 2, "short.yaml: spec.protocol: this field is needed"),
        ("trust show release.yaml", 2, "this is a ModelRelease, and no TrustRoot"),
        ("trust diff key.pub key.pub", 2, "`sluice trust import` makes a TrustRoot"),
        ("verify release mr/churn -n payments -f tabs.yaml", 3, "tabs.yaml: neither YAML nor JSON"),
        ("verify release mr/other -n payments -f release.yaml", 3, "there is no ModelRelease payments/other"),
    ],
)
def test_a_mistake_is_answered_with_what_to_do(at: Path, command: str, code: int, said: str) -> None:
    who = WHO if "--trust-root" in command else ()
    result = run(command, *who)
    assert said in " ".join(result.output.split()), result.output
    assert result.exit_code == code
    assert isinstance(result.exception, SystemExit)
    assert "errors.pydantic.dev" not in result.output
    assert at.exists()


WRITTEN = "--version 1.0.0 -n payments --approver olga@example.com --owner payments-ml --contact ml@example.com"
WAIVER = "--reason rebuilt --risk-owner payments-risk --ticket https://changes.example.com/77"
CASES = """apiVersion: cli.sluice.dev/v1alpha1
kind: PolicyTest
metadata: {name: production}
files: [../deploy]
now: "2026-11-21T12:00:00Z"
cases: [{name: it waits, release: payments/churn-1-0-0, expect: {phase: AwaitingEvidence}}]
"""


@pytest.fixture
def deploy(at: Path) -> Path:
    """What `sluice init` wrote, with an evaluation in the policy, and cases beside it."""
    (at / "churn").mkdir()
    (at / "churn" / "model.bin").write_text("weights")
    made = run(f"init churn --model churn --key key.pub --to deploy {WRITTEN}")
    assert made.exit_code == 0, made.output
    (at / "tests").mkdir()
    (at / "tests" / "cases.yaml").write_text(CASES)
    policy = at / "deploy" / "policy.yaml"
    measure = "{family: Quality, atLeast: '0.9'}"
    policy.write_text(f"{policy.read_text().rstrip()}\n  - {{name: quality, type: Evaluation, artifactTypes: [Weights], measures: [{measure}]}}\n")
    return at


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("check deploy/", 2, "'deploy/' is a file or folder; give manifests with -f, and name a ModelRelease: mr/NAME"),
        ("check -f churn", 3, "churn: no file in it ends in .json, .yaml, .yml; name manifests, or a folder that has some"),
        ("check -f deploy mr/churn -n payments", 3, "no ModelRelease payments/churn that can be read in what was read; there is payments/churn-1-0-0"),
        ("check -f deploy/policy.yaml", 3, "there is no ModelRelease in the files; name one of the cluster: sluice check mr/NAME -n NAMESPACE --on-cluster"),
        ("explain pod/churn -n payments -f deploy", 2, "'pod/churn' is a pod; name a ModelRelease: mr/NAME"),
        ("explain mr/churn-1-0-0 -n default -f deploy", 3, "there is payments/churn-1-0-0"),
        ("diff mr/churn-1-0-0 mr/churn-1-0-0 -n payments -f deploy", 2, "both are churn-1-0-0; name the release that came before, and the one that came after"),
        ("policy test deploy", 3, "there is no PolicyTest in deploy; sluice policy test --help shows one"),
        ("policy simulate -f deploy/policy.yaml --files churn", 3, "name manifests, or a folder that has some"),
        (f"waive mr/churn-1-0-0 -n payments --requirement quality {WAIVER} --expires 30d", 2, "write date, time and offset, such as"),
        (
            f"waive mr/churn-1-0-0 -n payments --requirement quality {WAIVER} --expires 2020-01-01T00:00:00Z",
            2,
            "has passed: the decision would count for nothing",
        ),
        (f"init churn --model churn --key key.pub --to deploy {WRITTEN}", 1, "are there already; nothing was written (--force writes over)"),
        (
            f"init churn --model Churn_1 --key key.pub --to new {WRITTEN}",
            2,
            "spec.model: write lower-case letters, digits and -, with a letter or digit at both",
        ),
        (f"init churn --model churn --key key.pem --to new {WRITTEN}", 2, "it is a private key, which nobody else should have; take its public half"),
        (f"init churn --model churn --key key.pub --image r.example.com/churn:1 --to new {WRITTEN}", 2, "name the image by digest, as"),
        ("verify record deploy/policy.yaml --key key.pub", 3, "this is a ReleasePolicy; a record is a ReleaseEvidence that the controller signed"),
        ("verify record deploy/modelrelease.yaml", 2, "say whom you trust"),
    ],
)
def test_a_mistake_at_the_desk_is_answered_with_what_to_do(deploy: Path, command: str, code: int, said: str) -> None:
    result = run(command)
    assert said in " ".join(result.output.split()), result.output
    assert result.exit_code == code
    assert isinstance(result.exception, SystemExit)
    assert not (deploy / "new").exists()


@pytest.mark.parametrize(
    ("file", "right", "wrong", "said"),
    [
        ("deploy/policy.yaml", "'0.9'", "0.9", 'atLeast: this is a text: write it in quotes, "0.9"'),
        ("deploy/policy.yaml", "'0.9'", "'90 %'", "atLeast: write a decimal number in quotes, like \"0.95\" (value: '90 %')"),
        ("deploy/policy.yaml", "Quality", "quality", "measures.0.family: Input should be 'Quality', 'UnsafeRefusal'"),
        ("deploy/policy.yaml", "family: Quality", "suite: core", "metric: suite and metric go together"),
        ("deploy/policy.yaml", "family:", "famly:", "famly: there is no such field; look for a slip in its name"),
        ("deploy/policy.yaml", "atLeast", "atMost", "numbers of a family are read so that 1 is best"),
        ("deploy/policy.yaml", "when: 'true'", "when: release.modell == ''", "spec.tiers[standard].when"),
        ("deploy/modelrelease.yaml", "type: Train", "type: Retrain\n    baseline: churn-0-9-0", "write them below it, as {name: …} (value: 'churn-0-9-0')"),
        ("deploy/policy.yaml", "when: 'true'", "when: release.artifacts.map(a, a.name) == []", "line 1, column 22: undeclared reference"),
        ("deploy/modelrelease.yaml", "type: Weights", "type: Weight", "artifacts.0.type: Input should be 'Weights'"),
        ("deploy/modelrelease.yaml", "digest: sha256:", "digest: sha-256:", "artifacts.0.digest"),
        ("tests/cases.yaml", "release: payments/", "release: ", "cases[0].release: String should match pattern"),
        ("tests/cases.yaml", "release: payments/", "release: ", "write NAMESPACE/NAME, as sluice check prints it"),
        ("tests/cases.yaml", "2026-11-21T12:00:00Z", "21 November", "write it like 2026-01-31T12:00:00Z"),
        ("tests/cases.yaml", "apiVersion: cli.sluice.dev/v1alpha1", "", "apiVersion: this field is needed; write apiVersion: cli.sluice.dev/v1alpha1"),
        ("tests/cases.yaml", "{phase: AwaitingEvidence}", "AwaitingEvidence", "cases[0].expect: this has fields of its own; write them below it"),
        ("tests/cases.yaml", "../deploy", "../deplo", "deplo"),
    ],
)
def test_a_slip_in_a_file_is_answered_with_its_field_and_what_to_write(deploy: Path, file: str, right: str, wrong: str, said: str) -> None:
    path = deploy / file
    assert right in path.read_text()
    path.write_text(path.read_text().replace(right, wrong, 1))
    result = run("policy test tests" if file.startswith("tests") else "check -f deploy -o json")
    assert said in " ".join(result.output.replace('\\"', '"').split()), result.output
    assert result.exit_code in {1, 3}
    assert isinstance(result.exception, SystemExit)


def test_init_says_where_signing_one_file_leaves_the_signature(at: Path) -> None:
    made = run(f"init weights.bin --model churn --key key.pub --to deploy {WRITTEN}")
    assert "--bundle weights.bin.sig" in " ".join(made.output.split())
    assert run("sign model weights.bin --key key.pem").exit_code == 0
    assert (at / "weights.bin.sig").exists()


def test_a_password_that_does_not_open_the_key_is_said_to_be_wrong_and_not_shown(at: Path) -> None:
    for key in ("locked.pem", "old.pem"):
        result = run(f"sign model weights.bin --key {key}", SLUICE_KEY_PASSWORD="swordfish")
        assert result.exit_code == 2
        assert "this password does not open it" in result.output
        assert "swordfish" not in result.output
    assert not (at / "weights.bin.sig").exists()


def test_one_file_is_verified_with_the_signature_that_signing_it_left_beside_it(at: Path) -> None:
    assert run("sign model weights.bin --key key.pem").exit_code == 0
    assert (at / "weights.bin.sig").exists()
    assert run("verify model weights.bin --key key.pub").exit_code == 0
    (at / "weights.bin").write_text("Weights")
    assert run("verify model weights.bin --key key.pub").exit_code == 1
