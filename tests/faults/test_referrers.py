"""A registry that has bundles, hides them, lies about them, sends us elsewhere, or is not there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from sluice.cluster import fetching
from sluice.cluster.fetching import NotFetched, Registries, Repository
from sluice.cluster.outbound import ListedRegistry, Outbound, Reference
from sluice.cluster.referrers import BUNDLE_BYTES, MOST_BUNDLES, MOST_PAGES, fetch_bundle, list_bundles
from sluice.decision.discovery_reasons import DiscoveryReason
from tests.faults.artifact_registry import INDEX, MANIFEST, ArtifactRegistry, digest_of, serving

pytestmark = pytest.mark.usefixtures("socket_enabled")
SUBJECT = "sha256:" + "5" * 64
BUNDLE = b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}'


@pytest.fixture
async def there() -> AsyncIterator[ArtifactRegistry]:
    async with serving() as registry:
        yield registry


@pytest.fixture
async def registries(there: ArtifactRegistry) -> AsyncIterator[Registries]:
    async with Registries(Outbound([ListedRegistry.parse(f"http://{there.address}/ml")])) as found:
        yield found


def subject(there: ArtifactRegistry) -> Reference:
    return Reference(host=there.address, repository="ml/churn", digest=SUBJECT)


@pytest.fixture
def repository(there: ArtifactRegistry, registries: Registries) -> Repository:
    return registries.repository(subject(there), None)


async def refused(repository: Repository, reference: Reference) -> NotFetched:
    with pytest.raises(NotFetched) as found:
        await fetch_bundle(repository, reference)
    return found.value


@pytest.mark.parametrize("api", [True, False])
async def test_bundles_are_found_by_the_api_or_by_the_tag_and_nothing_else_is(there: ArtifactRegistry, repository: Repository, *, api: bool) -> None:
    there.api = api
    first, second = there.add(SUBJECT, BUNDLE), there.add(SUBJECT, BUNDLE + b" ")
    there.add(SUBJECT, b"<spdx/>", media_type="application/spdx+json")
    there.referrers[SUBJECT].append({"mediaType": INDEX, "digest": "sha256:" + "1" * 64, "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json"})
    there.add("sha256:" + "6" * 64, BUNDLE + b"  ")
    listed = await list_bundles(repository, subject(there))
    assert [item.digest for item in listed.found] == sorted([first, second])
    assert not listed.more
    assert {await fetch_bundle(repository, item) for item in listed.found} == {BUNDLE, BUNDLE + b" "}


@pytest.mark.parametrize("version", [".v0.1+json", ".v0.2+json", ".v0.3+json", "+json;version=0.2", ".v1.0+json"])
async def test_bundles_of_every_version_count(there: ArtifactRegistry, repository: Repository, version: str) -> None:
    there.add(SUBJECT, BUNDLE, media_type=f"application/vnd.dev.sigstore.bundle{version}")
    assert len((await list_bundles(repository, subject(there))).found) == 1


async def test_where_nothing_refers_to_the_artifact_nothing_is_found(there: ArtifactRegistry, repository: Repository) -> None:
    assert (await list_bundles(repository, subject(there))).found == ()


async def test_a_crowd_of_bundles_is_cut_and_said_to_be(there: ArtifactRegistry, repository: Repository) -> None:
    for number in range(MOST_BUNDLES + 1):
        there.add(SUBJECT, BUNDLE + b" " * number)
    listed = await list_bundles(repository, subject(there))
    assert (len(listed.found), listed.more) == (MOST_BUNDLES, True)


async def test_a_list_without_end_is_read_for_some_pages(there: ArtifactRegistry, repository: Repository) -> None:
    there.add(SUBJECT, BUNDLE)
    body = there.index(SUBJECT)
    there.twist = lambda request: web.Response(body=body, content_type=INDEX, headers={"Link": f'<{request.path}?n={len(there.seen)}>; rel="next"'})
    listed = await list_bundles(repository, subject(there))
    assert (len(listed.found), listed.more, len(there.seen)) == (1, True, MOST_PAGES)


@pytest.mark.parametrize("elsewhere", ["https://registry.example.net/v2/ml/churn/referrers/x", "mailto:x@example.com", "/v2/other/referrers/x", "/admin"])
async def test_a_list_that_goes_on_at_another_place_is_not_followed(there: ArtifactRegistry, repository: Repository, elsewhere: str) -> None:
    there.twist = lambda _: web.Response(body=there.index(SUBJECT), content_type=INDEX, headers={"Link": f'<{elsewhere}>; rel="next"'})
    with pytest.raises(NotFetched, match="at another place"):
        await list_bundles(repository, subject(there))
    assert len(there.seen) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b'{"manifests": {}}', b'{"manifests": [], "manifests": []}', b'{"a":' * 100, b'{"manifests": NaN}', b"\xff"])
async def test_a_list_that_is_none_is_refused(there: ArtifactRegistry, repository: Repository, body: bytes) -> None:
    there.twist = lambda _: web.Response(body=body, content_type=INDEX)
    with pytest.raises(NotFetched) as found:
        await list_bundles(repository, subject(there))
    assert found.value.reason is DiscoveryReason.RegistryRefused


@pytest.mark.parametrize("what", ["manifests", "blobs"])
async def test_other_bytes_than_the_digest_names_are_thrown_away(there: ArtifactRegistry, repository: Repository, what: str) -> None:
    reference = subject(there).at(there.add(SUBJECT, BUNDLE))
    there.twist = lambda request: web.Response(body=b"{}", content_type=MANIFEST) if what in request.path else None
    assert (await refused(repository, reference)).reason is DiscoveryReason.DigestMismatch


async def test_a_body_larger_than_is_read_is_left_when_that_shows(there: ArtifactRegistry, repository: Repository) -> None:
    reference = subject(there).at(there.add(SUBJECT, BUNDLE))
    there.twist = lambda request: web.Response(body=b" " * (BUNDLE_BYTES + 1)) if "/blobs/" in request.path else None
    assert (await refused(repository, reference)).reason is DiscoveryReason.TooLarge
    huge = subject(there).at(there.add(SUBJECT, b"x" * (BUNDLE_BYTES + 1)))
    there.twist = lambda _: None
    there.seen.clear()
    assert (await refused(repository, huge)).reason is DiscoveryReason.TooLarge
    assert not [path for path, _ in there.seen if "/blobs/" in path], "what says that it is too large was fetched all the same"


@pytest.mark.parametrize(
    "fields", [{"layers": []}, {"layers": "x"}, {"layers": [{}]}, {"layers": [{"mediaType": "text/plain", "digest": SUBJECT, "size": 1}]}, {"layers": None}]
)
async def test_a_manifest_that_holds_no_bundle_is_refused(there: ArtifactRegistry, repository: Repository, fields: dict[str, Any]) -> None:
    reference = subject(there).at(there.add(SUBJECT, BUNDLE, **fields))
    assert (await refused(repository, reference)).reason is DiscoveryReason.NotABundle


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:1/x", "https://127.0.0.1:1/x", "https://[::1]:1/x", "https://[::ffff:127.0.0.1]:1/x", "https://localhost:1/x",
        "http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "https://user:secret@registry.example.com/x",
    ],
)  # fmt: skip
async def test_a_redirect_to_an_address_that_nobody_listed_is_not_followed(there: ArtifactRegistry, repository: Repository, location: str) -> None:
    reference = subject(there).at(there.add(SUBJECT, BUNDLE))
    there.twist = lambda request: web.Response(status=307, headers={"Location": location}) if "/blobs/" in request.path else None
    error = await refused(repository, reference)
    assert error.reason is DiscoveryReason.AddressRefused, error
    assert "secret" not in str(error)


async def test_a_redirect_to_an_address_in_disguise_is_no_address(there: ArtifactRegistry, repository: Repository) -> None:
    reference = subject(there).at(there.add(SUBJECT, BUNDLE))
    for location in ("https://2130706433/x", "https://0x7f.1/x", "https://127.1/x", "https://[/x"):
        there.twist = lambda request, to=location: web.Response(status=307, headers={"Location": to}) if "/blobs/" in request.path else None  # type: ignore[misc]
        assert (await refused(repository, reference)).reason in {
            DiscoveryReason.RegistryRefused,
            DiscoveryReason.AddressRefused,
            DiscoveryReason.RegistryUnreachable,
        }


async def test_a_redirect_to_a_listed_place_is_followed_without_the_account_and_not_without_end(there: ArtifactRegistry) -> None:
    async with serving() as storage:
        there.account = "robot:secret"
        reference = subject(there).at(there.add(SUBJECT, BUNDLE))
        storage.add(SUBJECT, BUNDLE)
        there.twist = lambda request: (
            web.Response(status=307, headers={"Location": f"http://{storage.address}{request.path}"}) if "/blobs/" in request.path else None
        )
        listed = [ListedRegistry.parse(f"http://{address}") for address in (there.address, storage.address)]
        async with Registries(Outbound(listed)) as registries:
            repository = registries.repository(reference, ("robot", "secret"))
            assert await fetch_bundle(repository, reference) == BUNDLE
            assert [authorization for _, authorization in storage.seen] == [""]
            assert "Bearer token-1" in {authorization for _, authorization in there.seen}
            there.twist = lambda request: web.Response(status=302, headers={"Location": request.path})
            assert (await refused(repository, reference)).reason is DiscoveryReason.RegistryRefused


async def test_without_the_right_account_the_registry_gives_nothing_and_is_told_nothing(there: ArtifactRegistry, registries: Registries) -> None:
    there.account = "robot:secret"
    reference = subject(there).at(there.add(SUBJECT, BUNDLE))
    for account in (None, ("robot", "wrong")):
        error = await refused(registries.repository(reference, account), reference)
        assert error.reason is DiscoveryReason.NotAuthorized
        assert "wrong" not in str(error)


async def test_a_token_service_at_a_private_address_is_not_asked(there: ArtifactRegistry, registries: Registries) -> None:
    reference = subject(there).at(there.add(SUBJECT, BUNDLE))
    there.twist = lambda _: web.Response(status=401, headers={"WWW-Authenticate": 'Bearer realm="https://127.0.0.1:1/token",service="r"'})
    error = await refused(registries.repository(reference, ("robot", "secret")), reference)
    assert error.reason is DiscoveryReason.AddressRefused


async def test_a_registry_that_nobody_listed_is_not_asked(there: ArtifactRegistry, registries: Registries) -> None:
    for reference in (subject(there), Reference(host="registry.example.com", repository="ml/churn", digest=SUBJECT)):
        other = Reference(host=reference.host, repository="mlops/churn", digest=SUBJECT)
        with pytest.raises(NotFetched) as found:
            registries.repository(other, None)
        assert found.value.reason is DiscoveryReason.RegistryNotListed
    assert there.seen == []


@pytest.mark.parametrize(("status", "reason"), [(500, "RegistryRefused"), (403, "NotAuthorized"), (404, "NotFound"), (204, "RegistryRefused")])
async def test_every_other_answer_has_its_code(there: ArtifactRegistry, repository: Repository, status: int, reason: str) -> None:
    there.twist = lambda _: web.Response(status=status)
    assert (await refused(repository, subject(there))).reason == reason


async def test_a_registry_that_is_silent_or_gone_is_unreachable(monkeypatch: pytest.MonkeyPatch, there: ArtifactRegistry, repository: Repository) -> None:
    monkeypatch.setattr(fetching, "REQUEST_SECONDS", 0.0)
    assert (await refused(repository, subject(there))).reason is DiscoveryReason.RegistryUnreachable
    monkeypatch.undo()
    gone = Reference(host="127.0.0.1:1", repository="ml/churn", digest=SUBJECT)
    async with Registries(Outbound([ListedRegistry.parse("http://127.0.0.1:1")])) as registries:
        assert (await refused(registries.repository(gone, None), gone)).reason is DiscoveryReason.RegistryUnreachable


async def test_a_bundle_is_named_by_the_digest_of_its_manifest(there: ArtifactRegistry, repository: Repository) -> None:
    there.add(SUBJECT, BUNDLE)
    with pytest.raises(NotFetched):
        await fetch_bundle(repository, subject(there).at(digest_of(BUNDLE)))
    assert json.loads(BUNDLE)
