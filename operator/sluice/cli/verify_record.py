"""`sluice verify record`: what let a release serve, as the controller signed it then. Offline."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sluice.cli.desk import FILES, Desk
from sluice.cli.manifests import documents
from sluice.cli.trusted import FILE, trust_options, trusted
from sluice.cli.verify import OUTPUT, CannotTell, answering, tell
from sluice.cli.verify_bundle import read_file

if TYPE_CHECKING:
    from datetime import datetime

    from sluice.api.strict_json import JsonValue
    from sluice.evidence.verdict_record import VerdictRecord


@click.command("record")
@click.argument("file", type=FILE)
@click.option("--against", type=FILES, multiple=True, help="Manifests, or folders of them: is the record about this release, these policies and this evidence?")
@trust_options
@OUTPUT
def verify_record(
    *, file: Path, against: tuple[Path, ...], trust_root_file: Path | None, key_files: tuple[Path, ...], certificate_files: tuple[Path, ...],
    identity: str | None, issuer: str | None, output: str,
) -> None:  # fmt: skip
    """Verify the record of a verdict: FILE is a ReleaseEvidence, or its bundle.

    \b
      kubectl get mre -n payments -l sluice.dev/record-of=churn-2-1-0
      kubectl get mre/churn-2-1-0-0123456789abcdef -n payments -o yaml > record.yaml
      kubectl get cm/sluice-controller-key -n sluice-system -o jsonpath='{.data.trust-root\\.json}' > controller.json
      sluice verify record record.yaml --trust-root controller.json
      sluice verify record record.yaml --trust-root controller.json --against deploy/

    Prints what the release was, which policies asked for what, on which evidence each requirement was met, and whose decisions counted.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from sluice.evidence.verdict_record import parse_record  # noqa: PLC0415 - see the package
    from sluice.provenance.envelope import BUNDLE_LIMIT  # noqa: PLC0415
    from sluice.provenance.statement import parse_statement  # noqa: PLC0415

    with answering(output):
        trust = trusted(trust_root_file=trust_root_file, key_files=key_files, certificate_files=certificate_files, identity=identity, issuer=issuer)
        envelope = trust.verify(_bundle(file), limit=BUNDLE_LIMIT)
        record, verified_at = parse_record(parse_statement(envelope.payload))
        differs = list(_differences(record, against))
        tell(_answer(record, verified_at, differs, checked=bool(against)), output)
        if differs:
            raise click.exceptions.Exit(1)


def _bundle(path: Path) -> bytes:
    """The bundle in a file: the file itself, or what is inline in a ReleaseEvidence. Raises CannotTell, OSError."""
    raw = read_file(path)
    try:
        found = documents(raw.decode())
    except ValueError as error:
        raise CannotTell(f"{path}: {error}") from None
    if len(found) != 1 or not isinstance(found[0], dict):
        raise CannotTell(f"{path}: one ReleaseEvidence, or one bundle, is expected")
    kind = found[0].get("kind")
    if kind is not None and kind != "ReleaseEvidence":
        raise CannotTell(f"{path}: this is a {str(kind)[:80]}; a record is a ReleaseEvidence that the controller signed, or the bundle in it (docs/records.md)")
    if kind is None:
        return raw
    bundle = (found[0].get("spec") or {}).get("bundle") or {}
    try:
        return base64.b64decode(bundle.get("inline") or "", validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise CannotTell(f"{path}: spec.bundle.inline is not base64") from None


def _differences(record: VerdictRecord, against: tuple[Path, ...]) -> Iterator[str]:
    """In what the files differ from what was recorded."""
    if not against:
        return
    from sluice.decision.model import Policy, Release  # noqa: PLC0415 - see the package
    from sluice.decision.record import digest_of_policy  # noqa: PLC0415
    from sluice.decision.records import Key  # noqa: PLC0415
    from sluice.provenance.digests import sha256_of  # noqa: PLC0415

    world = Desk.laid_out(files=against, namespace=record.namespace, cluster=None).world
    release = world.releases.get(Key(namespace=record.namespace, name=record.name))
    if not isinstance(release, Release):
        yield f"there is no ModelRelease {record.namespace}/{record.name} in the files"
    elif release.digest != record.release_digest:
        yield f"ModelRelease {record.name} has digest {release.digest}; the record is about {record.release_digest}"
    for name, digest in record.policies.items():
        policy = world.policies.get(name)
        found = digest_of_policy(policy) if isinstance(policy, Policy) else "not there"
        if found != digest:
            yield f"ReleasePolicy {name} is {found}; it was {digest}"
    there = {sha256_of(item.bundle) for item in world.evidence.values()}
    for digest in sorted({digest for result in record.results for digest in result.evidence} - there):
        yield f"evidence {digest} is not in the files"


def _answer(record: VerdictRecord, verified_at: datetime, differs: list[str], *, checked: bool) -> dict[str, JsonValue]:
    requirements: list[JsonValue] = [
        f"{each.outcome} {each.policy}/{each.requirement} ({each.reason})"
        + (f" for {', '.join(each.control_mappings)}" if each.control_mappings else "")
        + (f": {', '.join(each.evidence)}" if each.evidence else "")
        for each in record.results
    ]
    answer: dict[str, Any] = {
        "verified": not differs,
        **({"reason": "RecordDiffers"} if differs else {}),
        "release": f"{record.namespace}/{record.name}",
        "verifiedAt": verified_at.isoformat(),
        "cluster": record.cluster,
        "releaseDigest": record.release_digest,
        "evidenceDigest": record.evidence_digest,
        "tier": record.tier,
        "riskOwner": record.risk_owner,
        "policies": [f"{name} {digest}" for name, digest in sorted(record.policies.items())],
        "requirements": requirements,
        "decisions": [f"{each.kind} {each.name}: {each.username} as {each.role}" for each in record.decisions],
        "recordDigest": record.digest,
    }
    return answer | ({"differs": differs} if checked else {})
