"""Who signs, and with which Sigstore: what does not fit together, or could not come to a good signature, is refused before anything is sent."""

from __future__ import annotations

import base64
import functools
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sigstore.models import Bundle, ClientTrustConfig, InvalidBundle

from e2e.sigstore.pki import certify
from e2e.sigstore.trust_config import client_trust_config
from sluice.cli.sigstore_instance import public_instance
from tests.signing import plain_keys, sigstore
from tests.unit.cli.models import desk, run

Json = dict[str, Any]


def config() -> Json:
    root = json.loads(sigstore().trusted_root_json)
    fulcio, log, timestamps, provider = (f"https://{name}.example" for name in ("fulcio", "log", "tsa", "id"))
    parsed: Json = json.loads(client_trust_config(root, fulcio=fulcio, log=log, timestamps=timestamps, provider=provider))
    return parsed


@pytest.fixture
def sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`sluice sign statement` with other options; nothing must have been written."""
    monkeypatch.setattr("sluice.cli.identity_token.detect_credential", lambda _audience: None)
    predicate, bundle = tmp_path / "predicate.json", tmp_path / "out.json"
    predicate.write_text("{}")
    (tmp_path / "config.json").write_text(json.dumps(config()))

    def act(*options: object, **variables: str) -> Result:
        about = ["--predicate-type", "https://example.com/v1", "--predicate", predicate, "--subject", "m=sha256:" + "a" * 64, "--bundle", bundle]
        done = run("sign", "statement", *about, *options, **variables)
        assert not bundle.exists()
        return done

    return act


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--key FILE, or --keyless"),
        (("--key", "key", "--keyless"), "--key FILE, or --keyless"),
        (("--keyless",), "--trust-config FILE, or --public-sigstore"),
        (("--keyless", "--trust-config", "config", "--public-sigstore"), "--trust-config FILE, or --public-sigstore"),
        (("--keyless", "--trust-config", "config", "--certificate", "config"), "go with --key"),
        (("--key", "key", "--trust-config", "config"), "go with --keyless"),
        (("--key", "key", "--public-sigstore"), "go with --keyless"),
        (("--key", "key", "--identity-token-file", "config"), "go with --keyless"),
        (("--key", "key", "--oidc-client-id", "other"), "go with --keyless"),
        (("--key", "key", "--certificate-chain", "config"), "goes with --certificate"),
    ],
)
def test_options_that_do_not_fit_together_are_usage_errors(sign: Callable[..., Result], tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    files = {"key": str(desk(tmp_path).key()), "config": str(tmp_path / "config.json")}
    done = sign(*(files.get(each, each) for each in options))
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())


def in_the_clear(document: Json) -> None:
    document["signingConfig"]["caUrls"][0]["url"] = "http://fulcio.example"


def login_in_the_clear(document: Json) -> None:
    document["signingConfig"]["oidcUrls"][0]["url"] = "http://127.0.0.1.example"


def undated(document: Json) -> None:
    document["signingConfig"]["tsaUrls"] = []


def no_root(document: Json) -> None:
    del document["trustedRoot"]


def broken_root(document: Json) -> None:
    document["trustedRoot"]["certificateAuthorities"] = []


def over(document: Json) -> None:
    document["signingConfig"]["caUrls"][0]["validFor"] = {"start": "2020-01-01T00:00:00Z", "end": "2021-01-01T00:00:00Z"}


def no_log(document: Json) -> None:
    document["signingConfig"]["rekorTlogUrls"] = []


def no_url(document: Json) -> None:
    document["signingConfig"]["caUrls"] = [{"majorApiVersion": 1}]


def other_format(document: Json) -> None:
    document["signingConfig"]["mediaType"] = "application/vnd.dev.sigstore.signingconfig.v9+json"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (in_the_clear, "in the clear"),
        (login_in_the_clear, "in the clear"),
        (undated, "nothing would say when"),
        (no_root, "it needs trustedRoot and signingConfig"),
        (broken_root, "certificateAuthorities"),
        (over, "No valid Fulcio"),
        (no_log, "No valid Rekor"),
        (no_url, "each entry needs url"),
        (other_format, "signingConfig.mediaType"),
    ],
)
def test_an_instance_that_could_not_come_to_a_good_signature_is_refused(
    sign: Callable[..., Result], tmp_path: Path, change: Callable[[Json], None], said: str
) -> None:
    document = config()
    change(document)
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(document))
    done = sign("--keyless", "--trust-config", path, SIGSTORE_ID_TOKEN="a.b.c")
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr


def test_a_log_that_dates_its_entries_needs_no_timestamp_authority(sign: Callable[..., Result], tmp_path: Path) -> None:
    document = config()
    undated(document)
    document["signingConfig"]["rekorTlogUrls"][0]["majorApiVersion"] = 1
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(document))
    assert "nobody says who signs" in sign("--keyless", "--trust-config", path).stderr


@pytest.mark.parametrize("content", ["", "[]", "{}", "{", "x" * 2_000_000, '{"trustedRoot": [], "signingConfig": {}}'])
def test_a_file_that_is_no_trust_config_is_refused(sign: Callable[..., Result], tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    assert sign("--keyless", "--trust-config", path).exit_code == 2


@pytest.mark.parametrize("token", ["", "abc", "a.b", "a.b.c.d", "a.b.c\r\nX-Header: 1", "a.b.", "a.b.ü", "x" * 100_000, "e30.e30.e30"])
def test_what_is_no_token_is_not_sent_and_not_shown(sign: Callable[..., Result], tmp_path: Path, token: str) -> None:
    path = tmp_path / "token"
    path.write_text(token)
    done = sign("--keyless", "--trust-config", tmp_path / "config.json", "--identity-token-file", path)
    assert done.exit_code == 3
    assert len(token) < 5 or token not in done.output


def test_without_any_identity_the_four_ways_to_give_one_are_named(sign: Callable[..., Result], tmp_path: Path) -> None:
    done = sign("--keyless", "--trust-config", tmp_path / "config.json")
    assert done.exit_code == 3
    assert all(way in done.stderr for way in ("--identity-token-file", "SIGSTORE_ID_TOKEN", "CI job", "terminal"))


def test_the_public_instance_is_described_by_the_root_that_the_library_carries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setattr(ClientTrustConfig, "production", functools.partial(ClientTrustConfig.production, offline=True))
    public = public_instance()
    assert public.anchors.root is not None
    assert {service.member for service in public.services} == {"caUrls", "rekorTlogUrls", "tsaUrls", "oidcUrls"}
    assert all(service.url.startswith("https://") for service in public.services)


def token() -> str:
    """One that the library reads, and no service would take."""
    claims = {"iss": "https://id.example", "sub": "trainer", "email": "trainer@example.com", "aud": "sigstore", "iat": 0, "nbf": 0, "exp": 1 << 40}
    parts = ({"alg": "RS256"}, claims)
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), "c2ln"])


@pytest.mark.parametrize(("given", "said"), [(None, "nobody says who signs"), ("a.b.c", "the identity token cannot be read")], ids=["nobody", "no-token"])
def test_where_nobody_can_sign_the_public_instance_is_not_even_asked(
    sign: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, given: str | None, said: str
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("sluice.cli.sigstore_instance.public_instance", lambda: asked.append("asked"))
    done = sign("--keyless", "--public-sigstore", **({} if given is None else {"SIGSTORE_ID_TOKEN": given}))
    assert (done.exit_code, said in done.stderr, asked) == (3, True, []), done.output


def test_without_the_network_the_public_instance_is_no_answer(sign: Callable[..., Result], tmp_path: Path) -> None:
    home = {variable: str(tmp_path) for variable in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")}
    done = sign("--keyless", "--public-sigstore", SIGSTORE_ID_TOKEN=token(), **home)
    assert (done.exit_code, "does not say where its services are" in done.stderr) == (3, True), done.output


def test_commands_load_what_they_need_when_they_run() -> None:
    """`sluice --help` is quick. Controller and webhook cannot load the library either: they know nothing of the command line (import-linter)."""
    program = "import sys, sluice.cli; print({'kubernetes', 'numpy', 'pydantic', 'sigstore'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


@pytest.mark.parametrize("certified", [False, True], ids=["key", "certificate"])
def test_sigstore_python_reads_no_bundle_of_a_key_or_of_a_companys_certificate(tmp_path: Path, certified: bool) -> None:
    """docs/verify.md says so; when it no longer is so, its verdict can be asked for."""
    at = desk(tmp_path)
    certificate = tmp_path / "signing.crt"
    certificate.write_text(certify(plain_keys()["p256"], "trainer", start=datetime.now(UTC) - timedelta(days=1), days=30).pem)
    assert at.sign(*(("--certificate", certificate) if certified else ())).exit_code == 0
    with pytest.raises(InvalidBundle, match="expected certificate in bundle"):
        Bundle.from_json(at.bundle.read_bytes())
