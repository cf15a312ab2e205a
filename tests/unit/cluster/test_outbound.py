"""Nobody aims a fetch: what may be asked is listed, or public."""

from __future__ import annotations

import aiohttp
import pytest
from yarl import URL

from sluice.cluster.outbound import AddressRefused, ListedRegistry, Outbound, Reference, is_public

DIGEST = "sha256:" + "a" * 64


def listed(*texts: str) -> Outbound:
    return Outbound([ListedRegistry.parse(text) for text in texts])


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255",
        "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe",
        "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:a00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1",
    ],
)  # fmt: skip
def test_an_address_of_no_use_to_strangers_is_not_public_however_it_is_written(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://registry.example.com/v2/", "ftp://registry.example.com/", "https://127.0.0.1/v2/", "https://[::1]/v2/", "https://[::ffff:10.0.0.1]/v2/",
        "https://user:secret@registry.example.com/v2/", "http://10.0.0.5:5001/v2/", "https://10.0.0.5:5001/v2/", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_what_is_neither_https_nor_listed_is_not_asked(url: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        listed("registry.example.com", "http://10.0.0.5:5000").check(URL(url))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["https://registry.example.com/v2/", "http://10.0.0.5:5000/v2/", "https://storage.example.net/blob", "https://8.8.8.8/"])
def test_what_is_listed_or_public_is_asked(url: str) -> None:
    listed("registry.example.com", "http://10.0.0.5:5000").check(URL(url))


async def test_a_name_that_leads_to_a_private_address_is_refused_when_it_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answers(_self: object, host: str, port: int, family: int) -> list[dict[str, object]]:
        # The second address is what counts, too: the connector may take either.
        return [{"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0} for address in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", answers)
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1, which is no public address"):
        await listed("registry.example.com").resolve("elsewhere.example.com", 443)
    assert len(await listed("registry.example.com").resolve("Registry.example.com", 443)) == 2
    with pytest.raises(AddressRefused):
        await listed("registry.example.com").resolve("registry.example.com", 5001)


def test_a_part_of_a_registry_holds_what_is_below_it_and_no_name_that_begins_alike() -> None:
    team = ListedRegistry.parse("registry.example.com/team")
    names = ("team", "team/model", "team-of-others/model", "teams", "other/team/model")
    held = [name for name in names if team.holds(Reference(host="registry.example.com", repository=name, digest=DIGEST))]
    assert held == ["team", "team/model"]
    assert not team.holds(Reference(host="registry.example.com.evil.example", repository="team", digest=DIGEST))
    assert not team.holds(Reference(host="registry.example.com:444", repository="team", digest=DIGEST))


@pytest.mark.parametrize(
    "text",
    [
        "registry.example.com/team/model:v1", "registry.example.com/team/model", "team/model@sha256:" + "A" * 64, "s3://bucket/x@" + DIGEST,
        "https://registry.example.com/x@" + DIGEST, "registry.example.com/../x@" + DIGEST, "registry.example.com/X@" + DIGEST, "@" + DIGEST, "",
        "registry.example.com/a@" + DIGEST + "\n", "user@registry.example.com/a@" + DIGEST, "registry.example.com/" + "a" * 2048 + "@" + DIGEST,
    ],
)  # fmt: skip
def test_what_names_no_manifest_by_digest_is_no_reference(text: str) -> None:
    assert Reference.parse(text) is None


def test_a_reference_is_read_with_its_scheme_and_without() -> None:
    plain, schemed = Reference.parse(f"R.example.com:5000/a/b@{DIGEST}"), Reference.parse(f"oci://r.example.com:5000/a/b@{DIGEST}")
    assert plain == schemed
    assert str(plain) == f"r.example.com:5000/a/b@{DIGEST}"


@pytest.mark.parametrize("text", ["", "https://", "registry.example.com/", "registry.example.com/Team", "a b", "registry.example.com/team@sha256:0"])
def test_a_listed_registry_that_is_none_is_told_at_the_start(text: str) -> None:
    with pytest.raises(ValueError, match="is no registry"):
        ListedRegistry.parse(text)
