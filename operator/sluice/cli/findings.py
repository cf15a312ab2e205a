"""What was decided about releases, in the forms that machines read: objects for JSON and YAML, SARIF for code hosts, JUnit for pipelines.

SARIF 2.1.0 (OASIS) has one result for each requirement that is not met, at the manifest of the release; JUnit one test for each requirement. A waiver is shown
as what it is: suppressed there, skipped here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

from sluice.cli.verify import plain

if TYPE_CHECKING:
    from sluice.cli.desk import Place
    from sluice.decision.finding import Finding as Decision
    from sluice.decision.model import Result, Verdict
    from sluice.decision.records import Key

_LEVELS: Final = {"Failed": "error", "Missing": "error", "Expired": "error", "Waived": "note"}
_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The verdict on one release, and whether that is what was asked for."""

    key: Key
    verdict: Verdict
    passes: bool
    place: Place | None
    """Where its manifest is; None for one that is on a cluster."""

    @property
    def results(self) -> tuple[Result, ...]:
        """What each requirement came to, and that somebody rejected the release."""
        return (*self.verdict.results, *rejections(self.verdict))


def rejections(verdict: Verdict) -> tuple[Result, ...]:
    """Of each rejection that counts, that somebody rejected the release."""
    return tuple(_rejection(each) for each in verdict.approvals if each.rejects and each.counts)


def _rejection(rejection: Decision) -> Result:
    from sluice.api.release import Outcome  # noqa: PLC0415 - see the package
    from sluice.decision.model import Result  # noqa: PLC0415
    from sluice.decision.reasons import Reason  # noqa: PLC0415

    message = f"{rejection.username} rejected it as {rejection.role} ({rejection.name})"
    return Result(policy="none", requirement="decisions", outcome=Outcome.FAILED, reason=Reason.Rejected, message=message,
                  remedy="ask them, or apply a new ModelRelease")  # fmt: skip


def as_objects(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Everything that is known, one object for each release."""
    return [
        {
            "namespace": finding.key.namespace,
            "release": finding.key.name,
            "passes": finding.passes,
            "phase": str(finding.verdict.phase),
            "releaseDigest": finding.verdict.release_digest,
            "evidenceDigest": finding.verdict.evidence_digest,
            "tier": finding.verdict.tier,
            "triggers": [{"name": one.trigger, "change": str(one.change or ""), "detail": one.detail} for one in finding.verdict.fired],
            "riskOwner": finding.verdict.risk_owner,
            "requirements": [result_object(result) for result in finding.results],
            "approvals": [decision_object(each) for each in finding.verdict.approvals],
            "waivers": [decision_object(each) for each in finding.verdict.waivers],
            "changesAt": finding.verdict.changes_at.isoformat() if finding.verdict.changes_at else None,
        }
        for finding in findings
    ]


def decision_object(decision: Decision) -> dict[str, Any]:
    """What one person decided, for programs."""
    return {
        "name": decision.name,
        "by": decision.username,
        "role": decision.role or None,
        "at": decision.at or None,
        "waiver": decision.waiver or None,
        "waives": list(decision.waives),
        "counts": decision.counts,
        "reason": str(decision.reason),
        "message": decision.message,
        "remedy": decision.remedy or None,
    }


def result_object(result: Result) -> dict[str, Any]:
    """One requirement, for programs."""
    return {
        "policy": result.policy,
        "name": result.requirement,
        "type": str(result.type) if result.type else None,
        "outcome": str(result.outcome),
        "reason": str(result.reason),
        "message": result.message,
        "remedy": result.remedy,
        "evidence": list(result.evidence),
        "controlMappings": list(result.control_mappings),
    }


def as_sarif(findings: Sequence[Finding], *, version: str) -> str:
    """Write SARIF 2.1.0."""
    from sluice.decision.reasons import MEANING  # noqa: PLC0415 - see the package

    shown = [(finding, result) for finding in findings for result in finding.results if str(result.outcome) in _LEVELS]
    rules = sorted({result.reason for _, result in shown})
    driver = {
        "name": "sluice",
        "version": version,
        "rules": [{"id": str(rule), "shortDescription": {"text": MEANING[rule]}} for rule in rules],
    }
    results = [_sarif(finding, result, rules.index(result.reason)) for finding, result in shown]
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}, indent=2, ensure_ascii=False)


def _sarif(finding: Finding, result: Result, rule: int) -> dict[str, Any]:
    remedy = f" To do: {result.remedy}." if result.remedy else ""
    found: dict[str, Any] = {
        "ruleId": str(result.reason),
        "ruleIndex": rule,
        "level": "warning" if finding.passes and result.outcome != "Waived" else _LEVELS[str(result.outcome)],
        "message": {"text": f"{finding.key.name}, {result.requirement} ({result.policy}): {plain(result.message)}.{plain(remedy)}"},
        # The same finding of the same release is the same alert in every run.
        "partialFingerprints": {"sluice/v1": f"{finding.key}/{result.policy}/{result.requirement}/{result.reason}"},
    }
    if finding.place is not None:
        where = {"artifactLocation": {"uri": finding.place.path.as_posix()}, "region": {"startLine": finding.place.line}}
        found["locations"] = [{"physicalLocation": where}]
    if result.outcome == "Waived":
        found["suppressions"] = [{"kind": "external", "justification": plain(result.message)}]
    return found


def as_junit(findings: Sequence[Finding]) -> str:
    """Write JUnit XML: a suite for each release."""
    root = ET.Element("testsuites", name="sluice check")
    for finding in findings:
        results = finding.results
        wrong = [result for result in results if result.outcome not in {"Satisfied", "Waived"} and not finding.passes]
        skipped = [result for result in results if result.outcome == "Waived" or (finding.passes and result.outcome != "Satisfied")]
        suite = ET.SubElement(
            root, "testsuite", name=str(finding.key), tests=str(len(results)), failures=str(len(wrong)), skipped=str(len(skipped)), errors="0"
        )
        for result in results:
            case = ET.SubElement(suite, "testcase", classname=f"{finding.key}.{result.policy}", name=result.requirement)
            if finding.place is not None:
                case.set("file", finding.place.path.as_posix())
                case.set("line", str(finding.place.line))
            if result in wrong:
                failure = ET.SubElement(case, "failure", type=str(result.reason), message=plain(result.message))
                failure.text = plain(result.remedy or result.message)
            elif result in skipped:
                ET.SubElement(case, "skipped", message=f"{result.outcome} ({result.reason}): {plain(result.message)}")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode")
