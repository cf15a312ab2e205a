"""Decisions that are signed: from what would be created in the cluster to a statement, a bundle, and the ReleaseEvidence that is committed to Git.

Read from files, a release is judged here and now by the core of the cluster, so that what is signed off is the evidence that lies beside it in Git.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from sluice.api.names import API_VERSION
from sluice.cli.desk import FILES, Desk
from sluice.cli.signer import SignerChoice, StatementSigner, signer_options
from sluice.cli.verify import CannotTell

if TYPE_CHECKING:
    from sluice.api.strict_json import JsonObject
    from sluice.decision.records import Key

_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_SHORT: Final = 10
_NAME: Final = 200
_SAID: Final = ("role", "decision", "evidenceDigest", "waiver", "revokes", "comment")
F = TypeVar("F", bound=Callable[..., Any])
Object = dict[str, Any]


def signing_options(command: F) -> Callable[..., Any]:
    """Add the options by which a decision is signed instead of created; `command` gets them as one argument, `signing`."""

    @functools.wraps(command)
    def gathered(*, who: SignerChoice, files: tuple[Path, ...], **given: Any) -> Any:  # noqa: ANN401 - whatever the command's other options are
        if files and not who.given:
            raise click.UsageError("--filename goes with --key or --keyless: what is not signed is created in the cluster")
        return command(signing=Signing(who=who, files=files) if who.given else None, **given)

    told = "With --key or --keyless: manifests, or folders of them, instead of the cluster."
    return click.option("-f", "--filename", "files", type=FILES, multiple=True, help=told)(signer_options(gathered))


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """Who signs, and from which files the release is read; without any it is read from the cluster."""

    who: SignerChoice
    files: tuple[Path, ...]
    _desks: dict[str, Desk] = field(default_factory=dict, repr=False, compare=False)
    """By namespace: what the files hold, read once."""

    def read(self, kind: str, namespace: str, name: str) -> Object:
        """Read an object from the files; of a release, with what the verdict on it is here and now. Raises CannotTell, OSError."""
        from sluice.decision.records import Key  # noqa: PLC0415 - see the package

        desk, key = self._desk(namespace), Key(namespace=namespace, name=name)
        if (kind, key) not in desk.items:
            raise desk.nothing(key) if kind == "ModelRelease" else CannotTell(f"there is no {kind} {key} in the files")
        item = desk.items[kind, key]
        return item | {"status": _status(desk, key)} if kind == "ModelRelease" else item

    def releases(self, namespace: str) -> list[str]:
        """The names of all releases of a namespace in the files. Raises CannotTell, OSError."""
        return sorted(key.name for kind, key in self._desk(namespace).items if kind == "ModelRelease" and key.namespace == namespace)

    def _desk(self, namespace: str) -> Desk:
        if namespace not in self._desks:
            self._desks[namespace] = Desk.laid_out(files=self.files, namespace=namespace, cluster=None)
        return self._desks[namespace]

    def statement(self, wanted: Mapping[str, Any]) -> JsonObject:
        """Give what is signed for a ReleaseApproval that would be created. Raises UsageError: no cluster would read it."""
        from sluice.api.base import parse_time  # noqa: PLC0415 - see the package
        from sluice.evidence.signed_decision import PREDICATE_TYPE, parse_decision  # noqa: PLC0415
        from sluice.provenance.errors import ProvenanceError  # noqa: PLC0415
        from sluice.provenance.statement import STATEMENT_TYPE, parse_statement  # noqa: PLC0415

        spec = wanted["spec"]
        predicate: JsonObject = {key: spec[key] for key in _SAID if key in spec} | {"decidedAt": datetime.now(UTC).strftime(_TIME)}
        if "expires" in spec:
            predicate["expires"] = parse_time(spec["expires"]).strftime(_TIME)
        subject: JsonObject = {"name": spec["release"]["name"], "digest": {"sha256": spec["releaseDigest"].removeprefix("sha256:")}}
        statement: JsonObject = {"_type": STATEMENT_TYPE, "subject": [subject], "predicateType": PREDICATE_TYPE, "predicate": predicate}
        try:
            parse_decision(parse_statement(_bytes(statement)))
        except ProvenanceError as error:
            raise click.UsageError(str(error)) from error
        return statement

    def manifest(self, wanted: Mapping[str, Any], statement: JsonObject, signer: StatementSigner) -> Object:
        """Sign, and give the ReleaseEvidence to commit. Raises ProvenanceError, and what the signer raises."""
        bundle = signer.sign(_bytes(statement)).bundle
        spec, short = wanted["spec"], hashlib.sha256(bundle).hexdigest()[:_SHORT]
        return {
            "apiVersion": API_VERSION,
            "kind": "ReleaseEvidence",
            "metadata": {"name": f"{spec['release']['name'][:_NAME]}-{spec['role'][:40]}-{short}", "namespace": wanted["metadata"]["namespace"]},
            "spec": {"bundle": {"inline": base64.b64encode(bundle).decode("ascii")}},
        }

    def why_not(self, signed: Object, release: str) -> str | None:
        """Why the decision `signed` would not count beside the files; None where it counts, or where there are no files. Raises CannotTell, OSError."""
        from sluice.decision.records import Key  # noqa: PLC0415 - see the package

        if not self.files:
            return None
        namespace = signed["metadata"]["namespace"]
        desk = Desk.laid_out(files=self.files, namespace=namespace, cluster=None)
        desk.world.put(signed["kind"], signed)
        verdict = desk.world.verdict(Key(namespace=namespace, name=release), now=datetime.now(UTC))
        digest = "sha256:" + hashlib.sha256(base64.b64decode(signed["spec"]["bundle"]["inline"])).hexdigest()
        found = next((finding for finding in verdict.approvals if finding.name == digest), None) if verdict else None
        if found is None:
            return "no policy in the files has a signer with this key or identity that may sign Approval, by a TrustRoot that is there"
        return None if found.counts else found.said


def _bytes(statement: JsonObject) -> bytes:
    return json.dumps(statement, separators=(",", ":"), ensure_ascii=False).encode()


def _status(desk: Desk, key: Key) -> Object:
    """What the controller would write of the verdict, as far as people are shown it. Raises CannotTell."""
    verdict = desk.world.verdict(key, now=datetime.now(UTC))
    if verdict is None:
        raise desk.nothing(key)
    desk.without_namespace([key.namespace])
    results = [{"name": each.requirement, "outcome": str(each.outcome), "message": each.message} for each in verdict.results]
    return {
        "releaseDigest": verdict.release_digest, "evidenceDigest": verdict.evidence_digest, "requirements": results,
        "risk": {"tier": verdict.tier or "unknown", "owner": verdict.risk_owner},
    }  # fmt: skip
