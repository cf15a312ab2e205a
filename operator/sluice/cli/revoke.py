"""`sluice revoke`: an approval is taken back, by who gave it or by somebody who holds its role.

What is created names one act of approving, so that nothing brings it back: a ReleaseApproval by its UID, a signed one by the digest of its bundle.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sluice.api.names import API_VERSION
from sluice.cli.access import Access, Refused
from sluice.cli.counter import Counter
from sluice.cli.decisions import sign_off_options
from sluice.cli.signed_decisions import Signing, signing_options
from sluice.cli.verify import CannotTell, plain

if TYPE_CHECKING:
    from sluice.evidence.signed_decision import SignedDecision

_KINDS: Final = {
    **dict.fromkeys(("mra", "releaseapproval", "releaseapprovals", "releaseapproval.sluice.dev"), "ReleaseApproval"),
    **dict.fromkeys(("mre", "releaseevidence", "releaseevidences", "releaseevidence.sluice.dev"), "ReleaseEvidence"),
}


def _approval(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, str]:
    """Accept `mra/NAME`, and `mre/NAME` for what is signed."""
    kind, _, name = value.rpartition("/")
    if kind.lower() not in _KINDS or not name:
        message = f"{value!r}: name a ReleaseApproval, mra/NAME, or the ReleaseEvidence with a signed one, mre/NAME"
        raise click.BadParameter(message)
    return _KINDS[kind.lower()], name


@click.command()
@click.argument("approval", callback=_approval, metavar="mra/NAME|mre/NAME")
@click.option("-n", "--namespace", required=True, help="Namespace of the release.")
@click.option("--comment", help="Why.")
@sign_off_options
@signing_options
def revoke(
    *, approval: tuple[str, str], namespace: str, comment: str | None, yes: bool, dry_run: bool, output: str, kubeconfig: Path | None, context: str | None,
    signing: Signing | None,
) -> None:  # fmt: skip
    """Take an approval back: yours, or one in a role that you hold.

    \b
      sluice revoke mra/churn-2-1-0-security-x7k2p -n payments --comment "the red team measured the wrong build"
      sluice revoke mre/churn-2-1-0-security-4f2a90c1be -n payments

    Shows the approval and asks. It counts no more, also when it is applied again from Git; whoever still approves does so anew. A rejection is deleted instead.

    Ends with 0 when it was created, 1 when you or the cluster say no, or it does not count, 3 when it cannot be told.
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    access = Access(kubeconfig=kubeconfig, context=context)
    counter = Counter(access=access, namespace=namespace, yes=yes, dry_run=dry_run, output=output, signing=signing)
    kind, name = approval
    found = counter.read(kind, name)
    given = _stamped(found) if kind == "ReleaseApproval" else _signed(found, counter)
    if given.decision != "Approve":
        raise Refused(f"{plain(name)} is no approval but says {plain(given.decision)}; only approvals are taken back")
    console = counter.console
    console.print(plain(f"Revoke the approval of {given.release} as {given.role}"), style="bold")
    for word, text in (("approval", name), ("by", given.by), ("release", given.release_digest), ("names", given.act), ("because", comment or "")):
        console.print(plain(f"  {word:<9} {text}"), soft_wrap=True)
    wanted: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": "ReleaseApproval",
        "metadata": {"generateName": f"{given.release}-{given.role}-revoked-", "namespace": namespace},
        "spec": {
            "release": {"name": given.release},
            "releaseDigest": given.release_digest,
            "role": given.role,
            "decision": "Revoke",
            "revokes": given.act,
            **({"comment": comment} if comment else {}),
        },
    }
    counter.sign_off(wanted, question="Revoke it?")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """A decision as it was found."""

    decision: str
    release: str
    release_digest: str
    role: str
    by: str
    act: str


def _stamped(item: dict[str, Any]) -> _Given:
    """Read a ReleaseApproval. Raises CannotTell: it has no UID, since it is in a file."""
    spec, uid = item["spec"], item["metadata"].get("uid")
    if not uid:
        raise CannotTell(f"{item['metadata']['name']} has no metadata.uid, which a revocation names: read it from the cluster, without --filename")
    by = (spec.get("approver") or {}).get("username", "nobody whom the API server stamped")
    return _Given(decision=spec["decision"], release=spec["release"]["name"], release_digest=spec["releaseDigest"], role=spec["role"], by=by, act=uid)


def _signed(item: dict[str, Any], counter: Counter) -> _Given:
    """Read what a bundle says. Nothing is verified: what was never believed needs no revocation, and one of it does no harm. Raises CannotTell, Refused."""
    from sluice.evidence.signed_decision import PREDICATE_TYPE, parse_decision  # noqa: PLC0415 - see the package
    from sluice.provenance.digests import sha256_of  # noqa: PLC0415
    from sluice.provenance.envelope import read_bundle  # noqa: PLC0415
    from sluice.provenance.errors import ProvenanceError  # noqa: PLC0415
    from sluice.provenance.statement import parse_statement  # noqa: PLC0415

    name, inline = item["metadata"]["name"], item["spec"]["bundle"].get("inline")
    if inline is None:
        raise CannotTell(f"mre/{name} names its bundle by reference; name the ReleaseEvidence that holds the bytes (status.storedAs)")
    try:
        raw = base64.b64decode(inline, validate=True)
        statement = parse_statement(read_bundle(raw).payload)
        said: SignedDecision | None = parse_decision(statement) if statement.predicate_type == PREDICATE_TYPE else None
    except (ValueError, ProvenanceError) as error:
        raise CannotTell(f"mre/{name} holds no decision that can be read: {error}") from error
    if said is None:
        raise Refused(f"mre/{name} holds a statement of type {plain(statement.predicate_type)}, which is no decision")
    digest = statement.subjects[0].sha256
    by = (item.get("status") or {}).get("signer") or {}
    return _Given(
        decision=str(said.decision), release=counter.release_of(digest), release_digest=digest, role=said.role,
        by=by.get("identity") or by.get("key") or "whoever signed it", act=sha256_of(raw),
    )  # fmt: skip
