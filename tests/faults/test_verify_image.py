"""`sluice verify image` of an image whose bundles lie in its registry: 0 for what somebody who was named has signed, whatever else lies there."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from click.testing import Result

from e2e.sigstore import slsa_statement
from sluice.cli import attached
from sluice.cli.attached import is_loopback
from sluice.cluster.referrers import MOST_BUNDLES
from sluice.webhook.certificates import Lifetimes, renew
from tests.bundles import ARTIFACT, Kind, make
from tests.faults.artifact_registry import INDEX, ArtifactRegistry, serving
from tests.signing import ISSUER, TRAINER, sign, sigstore
from tests.unit.cli.models import run

pytestmark = pytest.mark.usefixtures("socket_enabled")
DIGEST = "sha256:" + hashlib.sha256(b"an image").hexdigest()
GOOD = sign(slsa_statement({"image": DIGEST}, "https://builder.example.com"))
OTHER = sign(slsa_statement({"image": "sha256:" + "0" * 64}, "https://builder.example.com"))


class Person:
    """Somebody at a desk, with a Docker configuration and a trust root."""

    def __init__(self, there: ArtifactRegistry, home: Path) -> None:
        self.there, self.home = there, home
        self.root = home / "trusted_root.json"
        self.root.write_text(sigstore().trusted_root_json)

    async def ask(self, *options: object, digest: str = DIGEST, tag: str = "") -> Result:
        image = f"{self.there.address}/ml/churn{tag}@{digest}"
        who = [*options] if "--key" in options else ["--trust-root", self.root, "--identity", TRAINER, "--issuer", ISSUER, *options]
        # In a thread: the registry answers in this one.
        return await asyncio.to_thread(run, "verify", "image", image, *who, DOCKER_CONFIG=str(self.home), PATH=f"{self.home}:/usr/bin:/bin")

    async def answer(self, *options: object, digest: str = DIGEST) -> Any:  # noqa: ANN401 - parsed JSON
        return json.loads((await self.ask("-o", "json", *options, digest=digest)).stdout)

    def log_in(self, **configuration: Any) -> None:  # noqa: ANN401 - members of the file
        (self.home / "config.json").write_text(json.dumps(configuration))


@pytest.fixture
async def person(tmp_path: Path) -> AsyncIterator[Person]:
    async with serving() as there:
        yield Person(there, tmp_path)


@pytest.mark.parametrize("api", [True, False])
async def test_one_attached_bundle_that_verifies_is_enough_whatever_lies_beside_it(person: Person, *, api: bool) -> None:
    person.there.api = api
    named = {person.there.add(DIGEST, bundle): bundle for bundle in (OTHER, b"{}", GOOD)}
    shown = await person.ask()
    assert (shown.exit_code, shown.stdout.splitlines()[0]) == (0, "verified")
    assert f"by {TRAINER}" in shown.stdout
    answer = await person.answer()
    judged = {each["source"].rpartition("@")[2]: each for each in answer["bundles"]}
    told = {each.get("reason", each.get("predicateType")) for each in judged.values()}
    assert (answer["verified"], told) == (True, {"SubjectMissing", "BundleMalformed", "https://slsa.dev/provenance/v1"})
    assert [named[manifest] for manifest, each in judged.items() if each["verified"]] == [GOOD]
    assert yaml.safe_load((await person.ask("-o", "yaml")).stdout) == answer


async def test_a_tag_beside_the_digest_says_nothing(person: Person) -> None:
    person.there.add(DIGEST, GOOD)
    assert (await person.ask(tag=":latest")).exit_code == 0


async def test_a_signature_over_the_manifest_itself_counts_like_a_statement(person: Person) -> None:
    person.there.add("sha256:" + hashlib.sha256(ARTIFACT).hexdigest(), make(Kind(message=True, entries=("hashedrekord 0.0.1",))))
    answer = await person.answer(digest="sha256:" + hashlib.sha256(ARTIFACT).hexdigest())
    assert (answer["verified"], answer["bundles"][0]["signer"]["identity"]) == (True, TRAINER)


@pytest.mark.parametrize(
    ("bundles", "reason"), [((), "NothingFound"), ((OTHER,), "SubjectMissing"), ((OTHER, OTHER + b" "), "SubjectMissing"), ((b"[]",), "BundleMalformed")]
)
async def test_without_one_that_verifies_the_answer_is_no_and_says_why(person: Person, bundles: tuple[bytes, ...], reason: str) -> None:
    for bundle in bundles:
        person.there.add(DIGEST, bundle)
    assert (await person.ask()).exit_code == 1
    answer = await person.answer()
    assert (answer["verified"], answer["reason"], len(answer["bundles"])) == (False, reason, len(bundles))


async def test_somebody_elses_signature_is_not_that_of_who_was_named(person: Person) -> None:
    person.there.add(DIGEST, GOOD)
    assert (await person.answer("--identity", "https://elsewhere.example.com"))["reason"] == "SignerUnexpected"


async def test_an_artifact_that_calls_itself_a_bundle_and_is_none_is_a_no(person: Person) -> None:
    person.there.add(DIGEST, GOOD, layers=[])
    answer = await person.answer()
    assert (answer["verified"], answer["reason"]) == (False, "NotABundle")


async def test_what_cannot_be_looked_at_is_no_answer_unless_something_verifies(person: Person) -> None:
    hidden = "/blobs/sha256:" + hashlib.sha256(OTHER).hexdigest()
    person.there.twist = lambda request: web.Response(status=500) if request.path.endswith(hidden) else None
    person.there.add(DIGEST, OTHER)
    asked = await person.ask()
    assert asked.exit_code == 3
    assert "RegistryRefused" in asked.stderr
    person.there.add(DIGEST, GOOD)
    answer = await person.answer()
    assert (answer["verified"], sorted(str(each["verified"]) for each in answer["bundles"])) == (True, ["None", "True"])


async def test_a_crowd_that_hides_bundles_is_no_answer(person: Person) -> None:
    for number in range(MOST_BUNDLES + 1):
        person.there.add(DIGEST, b"{}" + b" " * number)
    asked = await person.ask()
    assert asked.exit_code == 3
    assert "there are more than are looked at" in asked.stderr


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (web.Response(status=500), "RegistryRefused"),
        (web.Response(status=403), "NotAuthorized"),
        (web.Response(body=b"[]", content_type=INDEX), "no JSON object"),
        (web.Response(status=307, headers={"Location": "https://10.0.0.1/v2/"}), "AddressRefused"),
    ],
)
async def test_a_registry_that_gives_no_list_is_no_answer(person: Person, answer: web.Response, said: str) -> None:
    person.there.twist = lambda _: web.Response(status=answer.status, body=answer.body, headers=answer.headers)
    asked = await person.ask()
    assert (asked.exit_code, asked.stdout) == (3, "")
    assert said in asked.stderr


async def test_a_registry_that_does_not_end_is_no_answer(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attached, "ALL_SECONDS", 0.0)
    asked = await person.ask()
    assert asked.exit_code == 3
    assert "did not give everything" in asked.stderr


async def test_the_account_of_docker_login_opens_the_registry_and_no_account_does_not(person: Person) -> None:
    person.there.account = "robot:secret"
    person.there.add(DIGEST, GOOD)
    asked = await person.ask()
    assert (asked.exit_code, "NotAuthorized" in asked.stderr) == (3, True)
    auth = base64.b64encode(b"robot:secret").decode()
    person.log_in(auths={"registry.example.com": {"auth": "!"}, f"http://{person.there.address}/v1/": {"auth": auth}})
    asked = await person.ask()
    assert asked.exit_code == 3, "an account that cannot be read is told, not passed over"
    assert "registry.example.com" in asked.stderr
    person.log_in(auths={"registry.example.com": {"auth": base64.b64encode(b"a:b").decode()}, f"http://{person.there.address}/v1/": {"auth": auth}})
    assert (await person.ask()).exit_code == 0
    assert "secret" not in "".join(authorization for _, authorization in person.there.seen)


@pytest.mark.parametrize("where", ["credHelpers", "credsStore"])
async def test_the_program_that_keeps_passwords_is_asked_for_this_registry(person: Person, where: str) -> None:
    person.there.account = "robot:secret"
    person.there.add(DIGEST, GOOD)
    program = person.home / "docker-credential-kept"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = get ] && [ "$(cat)" = "{person.there.address}" ] || exit 1\necho \'{{"Username": "robot", "Secret": "secret"}}\'\n'
    )
    program.chmod(0o755)
    kept: Any = "kept" if where == "credsStore" else {person.there.address: "kept"}
    person.log_in(**{where: kept, "auths": {person.there.address: {}}})
    assert (await person.ask()).exit_code == 0
    for broken, said in (("echo '{}'", "no account"), ('echo \'{"Username": "<token>", "Secret": "secret"}\'', "identity token")):
        program.write_text(f"#!/bin/sh\ncat >/dev/null\n{broken}\n")
        asked = await person.ask()
        assert (asked.exit_code, said in asked.stderr, "secret" in asked.stderr) == (3, True, False)
    program.write_text("#!/bin/sh\ncat >/dev/null\nexit 1\n")
    assert "NotAuthorized" in (await person.ask()).stderr, "who is not logged in asks without an account"
    person.log_in(credsStore="is-not-installed")
    assert "docker-credential-is-not-installed" in (await person.ask()).stderr
    person.log_in(credsStore="../x")
    assert "is no name of a credential helper" in (await person.ask()).stderr


async def test_a_docker_configuration_that_is_none_is_told(person: Person) -> None:
    for text in ("{", "[]", " " * (1 << 20) + "{}"):
        (person.home / "config.json").write_text(text)
        asked = await person.ask()
        assert (asked.exit_code, "no Docker configuration" in asked.stderr) == (3, True)


async def test_a_registry_with_tls_is_asked_over_tls_and_its_authority_has_to_be_known(tmp_path: Path) -> None:
    lifetimes = Lifetimes(ca=timedelta(days=100), leaf=timedelta(days=30), overlap=timedelta(days=1))
    material = renew(None, ["127.0.0.1"], lifetimes, now=datetime.now(UTC))
    (tmp_path / "leaf.pem").write_bytes(material.leaf_pem + material.leaf_key_pem)
    (tmp_path / "ca.pem").write_bytes(material.bundle_pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "leaf.pem")
    async with serving(tls=context) as there:
        person = Person(there, tmp_path)
        there.add(DIGEST, GOOD)
        assert (await person.ask("--no-plain-http", "--registry-ca", tmp_path / "ca.pem")).exit_code == 0
        there.seen.clear()
        for options in (["--no-plain-http"], ["--plain-http"], ["--no-plain-http", "--registry-ca", tmp_path / "config.json"]):
            person.log_in()
            asked = await person.ask(*options)
            assert asked.exit_code == (2 if len(options) > 1 else 3), asked.output
        assert there.seen == [], "who is not known to be the registry is asked nothing"


@pytest.mark.parametrize(
    ("host", "here"),
    [("127.0.0.1:5000", True), ("localhost", True), ("127.8.9.1", True), ("localhost.example.com", False), ("example.com:5000", False), ("10.0.0.1", False)],
)
def test_only_this_machine_is_asked_without_tls_by_itself(host: str, *, here: bool) -> None:
    assert is_loopback(host) is here


async def test_what_is_no_reference_or_mixes_two_ways_is_usage(person: Person) -> None:
    assert (await person.ask(digest="latest")).exit_code == 2
    alone = await asyncio.to_thread(run, "verify", "image", f"churn@{DIGEST}", "--trust-root", person.root, "--identity", TRAINER, "--issuer", ISSUER)
    assert (alone.exit_code, "names no registry" in alone.stderr) == (2, True)
    assert (await person.ask("--bundle", person.root, "--plain-http")).exit_code == 2
    assert person.there.seen == []
