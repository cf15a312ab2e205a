"""The record of a verdict that allows: a SLSA verification summary with everything that the verdict rests on, signed by the controller.

The summary itself (`vsa`) says to any tool that the artifacts passed. What Sluice adds is one extension field of the predicate, named by a URI as the
attestation framework asks for: release and evidence by digest, each policy by the digest of its spec, what every requirement came to and on which bundles,
and whose decisions counted. Time is the controller's word.

Specifications: https://slsa.dev/spec/v1.0/verification_summary, https://github.com/in-toto/attestation/blob/main/spec/v1/README.md#parsing-rules
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sluice.evidence.vsa import PREDICATE_TYPE, parse_summary
from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.signing import SigningKey
from sluice.provenance.statement import Statement, text
from sluice.provenance.strict_json import JsonObject, JsonValue, canonical, member, optional

VERIFIER = "https://sluice.dev/controller"
EXTENSION = "https://sluice.dev/verdict/v1"
LEVEL = "SLUICE_MAY_SERVE"
_MALFORMED = Reason.PredicateMalformed
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_ENTRIES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedResult:
    """What one requirement came to."""

    policy: str
    requirement: str
    type: str
    outcome: str
    """Satisfied or Waived."""
    reason: str
    evidence: tuple[str, ...]
    """Digests of the bundles."""
    control_mappings: tuple[str, ...] = ()
    """Controls that it helps to meet, as the policy says."""

    def said(self) -> JsonObject:
        """As it stands in the record."""
        found: JsonObject = {
            "policy": self.policy, "name": self.requirement, "type": self.type, "outcome": self.outcome, "reason": self.reason, "evidence": list(self.evidence),
        }  # fmt: skip
        return found | ({"controlMappings": list(self.control_mappings)} if self.control_mappings else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDecision:
    """A sign-off or a waiver that counted."""

    kind: str
    name: str
    role: str
    username: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictRecord:
    """One verdict that lets a release serve."""

    cluster: str
    """UID of the namespace kube-system: two clusters differ in it."""
    namespace: str
    name: str
    release_digest: str
    evidence_digest: str
    tier: str
    risk_owner: str
    policies: Mapping[str, str]
    """Name to digest of the spec."""
    results: tuple[RecordedResult, ...]
    decisions: tuple[RecordedDecision, ...]

    @property
    def digest(self) -> str:
        """`sha256:` over all of it. The same verdict for the same reasons has the same, whenever it is given."""
        return sha256_of(canonical(self._said()))

    def _said(self) -> JsonObject:
        return {
            "cluster": self.cluster,
            "release": {"namespace": self.namespace, "name": self.name, "digest": self.release_digest},
            "evidenceDigest": self.evidence_digest,
            "tier": self.tier,
            "riskOwner": self.risk_owner,
            "policies": [{"name": name, "digest": digest} for name, digest in sorted(self.policies.items())],
            "requirements": [each.said() for each in self.results],
            "decisions": [{"kind": each.kind, "name": each.name, "role": each.role, "username": each.username} for each in self.decisions],
        }  # fmt: skip

    def sign(self, key: SigningKey, *, artifacts: Mapping[str, str], version: str, now: datetime) -> bytes:
        """Give the bundle. `artifacts` are the subjects, name to `sha256:` digest; `version` is that of Sluice."""
        bundles = sorted({digest for result in self.results for digest in result.evidence})
        inputs: list[JsonValue] = [{"uri": f"https://sluice.dev/bundles/{digest}", "digest": {"sha256": digest.removeprefix("sha256:")}} for digest in bundles]
        predicate: JsonObject = {
            "verifier": {"id": VERIFIER, "version": {"sluice": version}},
            "timeVerified": now.astimezone(UTC).strftime(_TIME),
            "resourceUri": f"https://sluice.dev/clusters/{self.cluster}/namespaces/{self.namespace}/modelreleases/{self.name}",
            "policy": {
                "uri": f"https://sluice.dev/clusters/{self.cluster}/releasepolicies/{'+'.join(sorted(self.policies))}",
                "digest": {"sha256": sha256_of(canonical(dict(sorted(self.policies.items())))).removeprefix("sha256:")},
            },
            "inputAttestations": inputs,
            "verificationResult": "PASSED",
            "verifiedLevels": [LEVEL],
            "slsaVersion": "1.0",
            EXTENSION: self._said(),
        }
        return key.sign(predicate_type=PREDICATE_TYPE, subjects=dict(artifacts), predicate=predicate)


def parse_record(statement: Statement) -> tuple[VerdictRecord, datetime]:
    """Read a record and its time. Raises ProvenanceError (PredicateMalformed), also for a verification summary that is no record of ours."""
    with closed(_MALFORMED, "the record does not parse"):
        summary = parse_summary(statement)
        if summary.verifier != VERIFIER or EXTENSION not in statement.predicate:
            raise ProvenanceError(_MALFORMED, f"it is a verification summary by {summary.verifier[:200]!r}, and no record of a verdict of Sluice")
        said = member(statement.predicate, EXTENSION, dict, where="predicate", reason=_MALFORMED)
        release = member(said, "release", dict, where=EXTENSION, reason=_MALFORMED)
        record = VerdictRecord(
            cluster=text(said, "cluster", where=EXTENSION, reason=_MALFORMED),
            namespace=text(release, "namespace", where="release", reason=_MALFORMED),
            name=text(release, "name", where="release", reason=_MALFORMED),
            release_digest=text(release, "digest", where="release", reason=_MALFORMED),
            evidence_digest=text(said, "evidenceDigest", where=EXTENSION, reason=_MALFORMED),
            tier=member(said, "tier", str, where=EXTENSION, reason=_MALFORMED),
            risk_owner=member(said, "riskOwner", str, where=EXTENSION, reason=_MALFORMED),
            policies={_text(each, "name"): _text(each, "digest") for each in _objects(said, "policies")},
            results=tuple(_result(each) for each in _objects(said, "requirements")),
            decisions=tuple(
                RecordedDecision(kind=_text(each, "kind"), name=_text(each, "name"), role=_text(each, "role"), username=_text(each, "username"))
                for each in _objects(said, "decisions")
            ),
        )  # fmt: skip
        if not summary.passed or record.digest != sha256_of(canonical(said)):
            raise ProvenanceError(_MALFORMED, "the record says something that is not read, or did not pass")
        return record, _time(statement.predicate)


def _result(entry: JsonObject) -> RecordedResult:
    evidence = member(entry, "evidence", list, where="requirements", reason=_MALFORMED)
    mappings = optional(entry, "controlMappings", list, where="requirements", reason=_MALFORMED) or []
    return RecordedResult(
        policy=_text(entry, "policy"), requirement=_text(entry, "name"), type=_text(entry, "type"), outcome=_text(entry, "outcome"),
        reason=_text(entry, "reason"), evidence=tuple(str(digest) for digest in evidence),
        control_mappings=tuple(str(control) for control in mappings),
    )  # fmt: skip


def _objects(said: JsonObject, key: str) -> list[JsonObject]:
    entries = member(said, key, list, where=EXTENSION, reason=_MALFORMED)
    if len(entries) > _ENTRIES or not all(isinstance(each, dict) for each in entries):
        raise ProvenanceError(_MALFORMED, f"{EXTENSION}.{key} is a list of at most {_ENTRIES} objects")
    return [each for each in entries if isinstance(each, dict)]


def _text(entry: JsonObject, key: str) -> str:
    return member(entry, key, str, where=EXTENSION, reason=_MALFORMED)


def _time(predicate: JsonObject) -> datetime:
    said = text(predicate, "timeVerified", where="predicate", reason=_MALFORMED)
    try:
        return datetime.strptime(said, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise ProvenanceError(_MALFORMED, f"predicate.timeVerified is {said[:40]!r}; it is written like 2026-01-31T12:00:00Z") from None
