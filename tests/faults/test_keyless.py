"""Keyless signing against services on loopback that speak what Fulcio, Rekor and a timestamp authority speak: what comes out, and what is said when one fails.

The services are ours; that the real ones are answered the same way is tests/cluster/test_keyless.py's to show.
"""

from __future__ import annotations

import gc
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sigstore.dsse import Statement
from sigstore.errors import VerificationError
from sigstore.models import Bundle, ClientTrustConfig
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity

from e2e.sigstore import PrivateSigstore, model_signature_statement
from e2e.sigstore.identity_provider import IdentityProvider
from e2e.sigstore.loopback import Answer, LoopbackServer, Request
from e2e.sigstore.services import CERTIFICATES, LOG_1, LOG_2, TIMESTAMPS, PrivateServices
from sluice.cli import main
from sluice.cli.identity_token import TokenSource
from sluice.cli.keyless import KeylessSigner
from sluice.cli.sigstore_instance import private_instance
from sluice.cli.verify import CannotTell

TRAINER = "trainer@example.com"
ABOUT = "sha256:" + "a" * 64


class Desk:
    """Somebody with a predicate, a model, a token and a trust config."""

    def __init__(self, folder: Path, provider: IdentityProvider, services: PrivateServices) -> None:
        self.folder, self.provider, self.services = folder, provider, services
        self.bundle = folder / "out.json"
        self.token = provider.token(TRAINER)
        (folder / "predicate.json").write_text('{"score": 0.5}')
        (folder / "model").mkdir()
        (folder / "model" / "weights.bin").write_bytes(b"weights")
        self.configure()

    def configure(self, *, log_version: int = 2, timestamps: bool = True) -> None:
        text = self.services.trust_config(log_version=log_version, timestamps=timestamps)
        (self.folder / "config.json").write_text(text)

    def run(self, *arguments: object, **variables: str) -> Result:
        done = CliRunner().invoke(main, [str(each) for each in arguments], env=variables)
        assert self.token not in done.output
        return done

    def sign(self, *options: object) -> Result:
        about = ("--predicate-type", "https://example.com/v1", "--predicate", self.folder / "predicate.json", "--subject", f"m={ABOUT}")
        keyless = ("--keyless", "--trust-config", self.folder / "config.json", "--bundle", self.bundle)
        return self.run("sign", "statement", *about, *keyless, *options, SIGSTORE_ID_TOKEN=self.token)

    def verify(self, bundle: Path, *, identity: str = TRAINER, issuer: str | None = None, what: str = "bundle") -> Result:
        named = ("--identity", identity, "--issuer", issuer or self.provider.url)
        where: tuple[object, ...] = (bundle, "--artifact", ABOUT) if what == "bundle" else (self.folder / "model", "--bundle", bundle)
        return self.run("verify", what, *where, "--trust-root", self.folder / "config.json", *named)

    def oracle(self, raw: bytes, *, identity: str = TRAINER, issuer: str | None = None) -> None:
        """Raises VerificationError."""
        root = ClientTrustConfig.from_json((self.folder / "config.json").read_text()).trusted_root
        Verifier(trusted_root=root).verify_dsse(Bundle.from_json(raw), Identity(identity=identity, issuer=issuer or self.provider.url))


class Terminal:
    """Standard input where somebody sits."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def sigstore() -> PrivateSigstore:
    return PrivateSigstore.create()


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider() as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path, sigstore: PrivateSigstore, provider: IdentityProvider) -> Iterator[Desk]:
    with PrivateServices(sigstore, provider) as services:
        yield Desk(tmp_path, provider, services)


@pytest.mark.parametrize("log_version", [1, 2])
def test_a_statement_is_signed_as_whom_the_token_names_and_both_verifiers_say_so(desk: Desk, log_version: int) -> None:
    desk.configure(log_version=log_version)
    done = desk.sign("-o", "json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["signed"], told["identity"], told["issuer"]) == (True, TRAINER, desk.provider.url)
    assert json.loads(desk.bundle.read_bytes())["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert desk.verify(desk.bundle).exit_code == 0
    desk.oracle(desk.bundle.read_bytes())


@pytest.mark.parametrize("other", [{"identity": "somebody@example.com"}, {"issuer": "https://accounts.example.com"}])
def test_neither_verifier_takes_it_for_anybody_elses(desk: Desk, other: dict[str, str]) -> None:
    assert desk.sign().exit_code == 0
    refused = desk.verify(desk.bundle, **other)
    assert (refused.exit_code, "SignerUnexpected" in refused.stdout) == (1, True)
    with pytest.raises(VerificationError):
        desk.oracle(desk.bundle.read_bytes(), **other)


def test_a_model_is_signed_and_verifies_on_disk(desk: Desk) -> None:
    signature = desk.folder / "model.sig"
    (desk.folder / "token").write_text(desk.token + "\n")
    options = ("--keyless", "--trust-config", desk.folder / "config.json", "--identity-token-file", desk.folder / "token", "--bundle", signature)
    done = desk.run("sign", "model", desk.folder / "model", *options)
    assert done.exit_code == 0, done.output
    assert desk.verify(signature, what="model").exit_code == 0
    desk.oracle(signature.read_bytes())
    (desk.folder / "model" / "weights.bin").write_bytes(b"others")
    assert desk.verify(signature, what="model").exit_code == 1


@pytest.mark.parametrize("log_version", [1, 2])
def test_what_sigstore_python_signs_verifies_here(desk: Desk, log_version: int) -> None:
    desk.configure(log_version=log_version)
    context = SigningContext.from_trust_config(ClientTrustConfig.from_json((desk.folder / "config.json").read_text()))
    with context.signer(IdentityToken(desk.token)) as signer:
        bundle = signer.sign_dsse(Statement(json.dumps(model_signature_statement({"weights.bin": b"weights"})).encode()))
    theirs = desk.folder / "theirs.json"
    theirs.write_text(bundle.to_json())
    assert desk.verify(theirs, what="model").exit_code == 0


def refused(_request: Request) -> Answer:
    return Answer(status=503, body=b'{"code": 14, "message": "try again \\u001b[31mlater"}')


def repeats(request: Request) -> Answer:
    return Answer(status=400, body=request.headers["Authorization"].encode())


def nonsense(_request: Request) -> Answer:
    return Answer(status=200, body=b'{"signedCertificateEmbeddedSct": 1}')


def asks_for_patience(_request: Request) -> Answer:
    time.sleep(1.0)  # longer than the deadline of the test that asks
    return Answer(status=200, body=b"{}")


@pytest.mark.parametrize(
    ("path", "answer", "said"),
    [
        (CERTIFICATES, refused, ("Fulcio", "503", "try again ?[31mlater")),
        (LOG_2, refused, ("the transparency log", "503", "try again ?[31mlater")),
        (TIMESTAMPS, refused, ("Unable to use", TIMESTAMPS, "503")),
        (CERTIFICATES, repeats, ("400 Bearer <identity token>",)),
        (CERTIFICATES, nonsense, ()),
        (LOG_2, nonsense, ()),
        (TIMESTAMPS, nonsense, ("Unable to use", TIMESTAMPS, "invalid response")),
    ],
)
def test_a_service_that_fails_is_named_and_nothing_is_written(desk: Desk, path: str, answer: Callable[[Request], Answer], said: tuple[str, ...]) -> None:
    desk.services.instead[path] = answer
    done = desk.sign()
    assert (done.exit_code, desk.bundle.exists()) == (3, False), done.output
    assert done.stderr.startswith("Error: ")
    assert all(each in done.stderr for each in said), done.stderr


def test_a_timestamp_that_was_to_be_had_and_is_missing_fails_also_where_the_log_gives_a_time(desk: Desk) -> None:
    desk.configure(log_version=1)
    desk.services.instead[TIMESTAMPS] = refused
    done = desk.sign()
    assert (done.exit_code, desk.bundle.exists()) == (3, False)
    assert "0 of 1 timestamps: Unable to use" in done.stderr


@pytest.mark.parametrize(
    ("member", "what"), [("caUrls", "Fulcio (http://127.0.0.1:9)"), ("rekorTlogUrls", "the transparency log"), ("tsaUrls", "Unable to use")]
)
def test_a_service_that_nobody_answers_for_is_named(desk: Desk, member: str, what: str) -> None:
    config = json.loads((desk.folder / "config.json").read_text())
    config["signingConfig"][member][0]["url"] = "http://127.0.0.1:9"
    (desk.folder / "config.json").write_text(json.dumps(config))
    done = desk.sign()
    assert (done.exit_code, desk.bundle.exists()) == (3, False), done.output
    assert what in done.stderr
    assert "Connection refused" in done.stderr or "Failed to establish" in done.stderr


def test_nobody_is_waited_for_longer_than_the_deadline(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = KeylessSigner.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "deadline_seconds", 0.3)
    desk.services.instead[LOG_2] = asks_for_patience
    done = desk.sign()
    assert (done.exit_code, desk.bundle.exists()) == (3, False)
    assert "did not sign within 0.3 seconds" in done.stderr


@pytest.mark.parametrize("foreign", [CERTIFICATES, LOG_1, LOG_2, TIMESTAMPS])
def test_what_a_foreign_authority_vouches_for_is_not_kept(desk: Desk, foreign: str) -> None:
    desk.configure(log_version=1 if foreign == LOG_1 else 2)
    with PrivateServices(PrivateSigstore.create(), desk.provider) as others:
        desk.services.instead[foreign] = {CERTIFICATES: others.certify, LOG_1: others.log_1, LOG_2: others.log_2, TIMESTAMPS: others.stamp}[foreign]
        done = desk.sign()
    assert (done.exit_code, desk.bundle.exists()) == (3, False), done.output


def test_a_token_of_a_foreign_provider_is_fulcios_to_refuse(desk: Desk) -> None:
    with IdentityProvider() as foreign:
        desk.token = foreign.token(TRAINER)
    done = desk.sign()
    assert done.exit_code == 3
    assert "400 There was an error processing the identity token" in done.stderr


@pytest.mark.parametrize(
    ("claims", "said"), [({"lifetime_seconds": -60}, "has expired"), ({"audience": "other"}, "--oidc-client-id")], ids=["expired", "for somebody else"]
)
def test_a_token_that_cannot_do_is_not_sent(desk: Desk, claims: dict[str, int | str], said: str) -> None:
    desk.token = desk.provider.token(TRAINER, **claims)  # type: ignore[arg-type]  # one of its two
    desk.services.instead[CERTIFICATES] = refused
    done = desk.sign()
    assert (done.exit_code, "503" in done.stderr) == (3, False)
    assert said in done.stderr


def test_a_token_that_would_end_a_header_is_not_sent_though_libraries_read_over_it(desk: Desk) -> None:
    good = desk.token
    desk.token = f"{good[:200]}\n{good[200:]}"
    done = desk.sign()
    assert (done.exit_code, good[200:] in done.output) == (3, False)
    assert "this is no OpenID Connect identity token" in done.stderr


def test_a_token_for_another_audience_counts_where_it_is_asked_for(desk: Desk) -> None:
    desk.token = desk.provider.token(TRAINER, audience="other")
    assert desk.sign("--oidc-client-id", "other").exit_code == 0


def test_a_bundle_that_was_there_stays_when_signing_fails(desk: Desk) -> None:
    desk.bundle.write_bytes(b"an older one")
    desk.services.instead[LOG_2] = refused
    assert desk.sign().exit_code == 3
    assert desk.bundle.read_bytes() == b"an older one"


def test_a_token_that_expires_while_a_model_is_hashed_is_read_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    file = desk.folder / "token"
    file.write_text(desk.token)
    instance = private_instance(desk.folder / "config.json")
    signer = KeylessSigner(instance, TokenSource(file=file, client_id="sigstore", login=None))
    file.write_text(desk.provider.token("next@example.com"))
    statement = json.dumps(model_signature_statement({"weights.bin": b"weights"})).encode()
    assert signer.sign(statement).signer["identity"] == TRAINER
    monkeypatch.setattr(signer._token, "in_validity_period", lambda: False)
    assert signer.sign(statement).signer["identity"] == "next@example.com"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sigstore-python leaves the listener of its login to the garbage collector
def test_a_person_at_a_terminal_logs_in_with_the_browser_and_stdout_stays_the_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sluice.cli.identity_token.detect_credential", lambda _audience: None)
    monkeypatch.delenv("SIGSTORE_ID_TOKEN", raising=False)
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("webbrowser.open", lambda url: urllib.request.urlopen(url, timeout=5).read())  # noqa: S310 - of the library
    with IdentityProvider(logs_in=TRAINER) as provider:
        assert TokenSource(file=None, client_id="sigstore", login=provider.url).obtain().identity == TRAINER
    told = capsys.readouterr()
    assert (told.out, "browser" in told.err) == ("", True)
    with pytest.raises(CannotTell, match="came to nothing"):
        TokenSource(file=None, client_id="sigstore", login=provider.url).obtain()
    gc.collect()


def test_a_job_that_may_have_tokens_signs_as_itself_and_one_that_may_not_is_told(monkeypatch: pytest.MonkeyPatch, provider: IdentityProvider) -> None:
    """As on GitHub."""
    monkeypatch.delenv("SIGSTORE_ID_TOKEN", raising=False)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "bearer")
    source = TokenSource(file=None, client_id="sigstore", login=None)
    with LoopbackServer(lambda _request: Answer(body=json.dumps({"value": provider.token(TRAINER)}).encode())) as job:
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{job.url}/?")
        assert source.obtain().identity == TRAINER
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    with pytest.raises(CannotTell, match="this CI job gives no identity token"):
        source.obtain()
