"""`sluice verify image`: whether somebody whom I trust has signed a statement about exactly this image.

The statements are files, or what is attached to the image in its registry. One that verifies is enough, so what strangers attach beside it changes nothing:
not the answer, and not the exit code. None that verifies is "no" only when everything was looked at; else nobody can tell.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sluice.cli.trusted import FILE, Trusted, trust_options, trusted
from sluice.cli.verify import NOT_VERIFIED, OUTPUT, BadTrust, CannotTell, answering, tell
from sluice.cli.verify_bundle import OF_TYPE, of_type, read_file, verified

if TYPE_CHECKING:
    from sluice.api.strict_json import JsonObject, JsonValue
    from sluice.cluster.fetching import NotFetched

_IMAGE: Final = re.compile(r"(?P<name>[^@\s]+?)(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?@(?P<digest>sha256:[0-9a-f]{64})")
_NOTHING: Final = "NothingFound"

Candidate = tuple[str, "bytes | NotFetched"]
"""A bundle, or why it is not here, with the name of the file or of the manifest that holds it."""


@click.command("image")
@click.argument("image", metavar="IMAGE@sha256:…")
@click.option("--bundle", "bundle_files", type=FILE, multiple=True, help="A bundle about the image, instead of asking its registry; repeatable.")
@click.option("--plain-http/--no-plain-http", default=None, help="The registry has no TLS.  [default: only one on this machine]")
@click.option("--registry-ca", "ca_file", type=FILE, help="Certificates of authorities, PEM, that the registry's may come from, beside the system's.")
@OF_TYPE
@trust_options
@OUTPUT
def verify_image(
    *,
    image: str,
    bundle_files: tuple[Path, ...],
    plain_http: bool | None,
    ca_file: Path | None,
    predicate_type: str | None,
    trust_root_file: Path | None,
    key_files: tuple[Path, ...],
    certificate_files: tuple[Path, ...],
    identity: str | None,
    issuer: str | None,
    output: str,
) -> None:
    """Verify that somebody whom you name has signed a statement about exactly this image.

    \b
      sluice verify image registry.example.com/churn@sha256:4f2a… --trust-root trust.yaml --identity https://ci/build.yml@main --issuer https://token.ci
      sluice verify image registry.example.com/churn@sha256:4f2a… --key release.pub --bundle provenance.json

    The registry is asked for the bundles that refer to the image (OCI 1.1, or the tag that stands in for it), with the account of `docker login`. With --bundle
    nothing is asked. The image itself is not fetched: its digest says what it is. One bundle that verifies is enough; with
    --predicate-type, one of this kind: a list of packages is no provenance.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    with answering(output):
        named = _IMAGE.fullmatch(image)
        if named is None:
            raise click.UsageError(f"{image!r} names no digest; tags move: IMAGE@sha256:…")
        if bundle_files and (plain_http is not None or ca_file):
            raise click.UsageError("with --bundle no registry is asked: leave out --plain-http and --registry-ca")
        trust = trusted(trust_root_file=trust_root_file, key_files=key_files, certificate_files=certificate_files, identity=identity, issuer=issuer)
        candidates: list[Candidate] = [(str(path), read_file(path)) for path in bundle_files]
        more = False
        if not bundle_files:
            candidates, more = _attached(f"{named['name']}@{named['digest']}", plain_http=plain_http, ca_file=ca_file)
        judged = [_judged(name, content, named["digest"], trust, predicate_type=predicate_type) for name, content in candidates]
        _end(image, judged, more=more, output=output)


def _attached(image: str, *, plain_http: bool | None, ca_file: Path | None) -> tuple[list[Candidate], bool]:
    """What is attached to the image, and whether there is more. Raises UsageError, CannotTell, OSError."""
    from sluice.cli.attached import ALL_SECONDS, attached, is_loopback  # noqa: PLC0415 - see the package
    from sluice.cli.docker_accounts import account_at  # noqa: PLC0415
    from sluice.cluster.fetching import NotFetched  # noqa: PLC0415
    from sluice.cluster.outbound import Reference  # noqa: PLC0415
    from sluice.cluster.registry_login import tls_trusting  # noqa: PLC0415

    reference = Reference.parse(image)
    if reference is None:
        raise click.UsageError(f"{image!r} names no registry; write REGISTRY/REPOSITORY@sha256:…, with the name of the registry's API")
    plain = is_loopback(reference.host) if plain_http is None else plain_http
    try:
        tls = None if ca_file is None else tls_trusting(ca_file)
    except ValueError as error:
        raise BadTrust(str(error)) from None
    try:
        found = asyncio.run(attached(reference, account_at(reference.host), plain_http=plain, tls=tls))
    except NotFetched as error:
        raise CannotTell(f"({error.reason}) {error}") from error
    except TimeoutError:
        raise CannotTell(f"{reference.host} did not give everything within {ALL_SECONDS:g} s") from None
    return [(str(manifest), content) for manifest, content in found.found], found.more


def _judged(name: str, content: bytes | NotFetched, digest: str, trust: Trusted, *, predicate_type: str | None) -> JsonObject:
    """What one candidate comes to. `verified` is None where it could not be read: that says nothing about it."""
    from sluice.decision.discovery_reasons import DiscoveryReason  # noqa: PLC0415 - see the package
    from sluice.provenance.errors import ProvenanceError  # noqa: PLC0415

    if not isinstance(content, bytes):
        read = content.reason is DiscoveryReason.NotABundle
        return {"source": name, "verified": False if read else None, "reason": str(content.reason), "message": str(content)}
    try:
        return {"source": name} | of_type(predicate_type, verified(content, digest, trust))
    except ProvenanceError as error:
        return {"source": name, "verified": False, "reason": str(error.reason), "message": str(error)}


def _end(image: str, judged: Sequence[JsonObject], *, more: bool, output: str) -> None:
    """Say what all of them come to, and end with the exit code for it. Raises CannotTell."""
    good, unread = any(each["verified"] for each in judged), [each for each in judged if each["verified"] is None]
    shown: list[JsonValue] = list(_rows(judged)) if output == "table" else list(judged)
    if not good and (unread or more):
        first = (
            f"{unread[0]['source']}: ({unread[0]['reason']}) {unread[0]['message']}" if unread else "there are more than are looked at; give some with --bundle"
        )
        raise CannotTell(f"none of the {len(judged) - len(unread)} bundles about {image} that were looked at verifies, and not all were: {first}")
    answer: dict[str, JsonValue] = {"verified": good}
    if not good:
        answer |= {"reason": judged[0]["reason"], "message": _refusal(judged)} if judged else {"reason": _NOTHING, "message": "no bundle refers to the image"}
    tell(answer | {"image": image, "bundles": shown}, output)
    if not good:
        raise click.exceptions.Exit(NOT_VERIFIED)


def _refusal(judged: Sequence[JsonObject]) -> str:
    first = str(judged[0]["message"])
    return first if len(judged) == 1 else f"none of {len(judged)} bundles verifies; the first one: {first}"


def _rows(judged: Sequence[JsonObject]) -> Iterator[str]:
    """One line for each."""
    for each in judged:
        signer = each.get("signer")
        who = (signer.get("identity") or signer.get("key") or signer.get("keyFingerprint")) if isinstance(signer, dict) else None
        said = f"{each.get('predicateType') or 'plain signature'} by {who}" if each["verified"] else f"{each['reason']}: {each['message']}"
        yield f"{'verified' if each['verified'] else 'NOT VERIFIED' if each['verified'] is False else 'not read'} {each['source']} {said}"
