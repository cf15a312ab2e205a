"""Canary runs as the API server gives them, made up: one for each decision."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

HOSTILE = "region=<script>alert(1)</script>\u202e\x1b[2J$x^2$"


def metric(name: str, slice_: str, estimate: str, interval: tuple[str, str], evidence: tuple[str, str], **more: Any) -> Object:  # noqa: ANN401 - members
    return {
        "name": name,
        "slice": slice_,
        "pairs": 312,
        "estimate": estimate,
        "interval": list(interval),
        "evidence": {"promote": evidence[0], "rollBack": evidence[1]},
        **more,
    }


FINE = metric("accuracy", "all", "-0.0020", ("-0.0150", "0.0110"), ("25.1", "0.0012"), towards="Promote", pairsToDecide=0)
OPEN = metric("accuracy", "all", "-0.0120", ("-0.0410", "0.0170"), ("1.31", "0.52"), towards="Promote", pairsToDecide=860)
SLICE = metric("accuracy", "region=DACH", "-0.0700", ("-0.1100", "-0.0400"), ("0.00012", "61.4"), towards="RollBack", pairsToDecide=0)
REFUSAL = metric("refusal", "all", "0.0010", ("-0.0110", "0.0130"), ("32", "0.002"), towards="Promote", pairsToDecide=0)


def run(name: str = "churn-2-1-0-canary-1", release: str = "churn-2-1-0", created: str = "2026-11-21T07:00:00Z", **status: Any) -> Object:  # noqa: ANN401
    return {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "CanaryRun",
        "metadata": {"name": name, "namespace": "payments", "creationTimestamp": created},
        "spec": {
            "release": {"name": release},
            "releaseDigest": "sha256:" + "a" * 64,
            "baseline": {"name": "churn-2-0-0"},
            "baselineDigest": "sha256:" + "b" * 64,
            "suite": {"name": "churn-core"},
            "suiteDigest": "sha256:" + "c" * 64,
            "policy": "payments",
            "requirement": "canary",
            "workload": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "churn"},
            "seed": 7,
            "shards": 2,
            "planned": 3000,
            "margin": "0.02",
            "falseRollbackRate": "0.05",
            "falsePromotionRate": "0.05",
            "maxDuration": "1h",
            "baselinePods": "Own",
        },
        "status": status,
    }


STARTED: Object = {"startedAt": "2026-11-21T07:00:00Z", "planned": 3000}
DECIDED: Object = STARTED | {"phase": "Decided", "decidedAt": "2026-11-21T07:02:05Z"}

PENDING = run(
    **STARTED, phase="Scoring", decision="Pending", reason="Scoring", message="open: accuracy", units=312, metrics=[OPEN], gates=[{"name": "leaks", "hits": 0}]
)
EXPOSING = run(
    **STARTED, phase="Exposing", decision="Pending", reason="Exposing", message="stage 1 of 2, at most 5.00% for 600 s: one Pod among 20 of Service churn",
    units=312, metrics=[FINE], exposure={"stage": 0, "pods": 1, "share": "0.0500", "ends": 0, "startedAt": "2026-11-21T07:02:05Z"},
)  # fmt: skip
WAITING = run(**STARTED, phase="Scoring", decision="Pending", reason="MinDurationNotOver", message="it is promoted at 07:15", units=312, metrics=[FINE])
WAITING["spec"]["minDuration"] = "15m"
PROMOTED = run(
    **DECIDED,
    decision="Promote",
    reason="WithinMargin",
    message="no metric is worse than its margin",
    units=3000,
    metrics=[REFUSAL, FINE],
    gates=[{"name": "leaks", "hits": 0}],
)
ROLLED_BACK = run(
    **DECIDED,
    decision="RollBack",
    reason="WorseThanMargin",
    message="accuracy in region=DACH is worse than its margin of 0.02",
    units=312,
    metrics=[SLICE, FINE, REFUSAL],
    gates=[{"name": "leaks", "hits": 0}],
    samples={"digest": "sha256:" + "d" * 64, "uri": "oci://registry.example/samples"},
)
HIT = run(
    **DECIDED,
    decision="RollBack",
    reason="GateHit",
    message="leaks: 2 answers of the candidate",
    units=40,
    metrics=[OPEN],
    gates=[{"name": "leaks", "hits": 2}],
)
INCONCLUSIVE = run(
    **DECIDED,
    decision="Inconclusive",
    reason="AllScored",
    message="all 3000 units are scored, and neither side is shown for accuracy",
    units=3000,
    metrics=[OPEN],
)
SILENT = run(
    **DECIDED,
    decision="RollBack",
    reason="WorseThanMargin",
    message="accuracy is worse than its margin of 0.02",
    units=10,
    metrics=[SLICE | {"slice": "all", "estimate": "-1", "interval": ["-1", "-0.4"]}],
    missingAnswers=[{"side": "candidate", "asked": 10, "missing": 10, "first": "POST /v1/completions: answered 404: \u202e<b>no such model"}],
)
NOTHING = run()
HOSTILE_RUN = run(
    **DECIDED,
    decision="RollBack",
    reason="WorseThanMargin",
    message=f"accuracy in {HOSTILE} is worse than its margin of 0.02",
    units=312,
    metrics=[SLICE | {"slice": HOSTILE}, SLICE | {"slice": "price=$1^2$"}, FINE],
    samples={"digest": "sha256:" + "d" * 64, "uri": 'https://evil.example/"><img src=x onerror=alert(1)>'},
)
EVERY = {
    "pending": PENDING,
    "exposing": EXPOSING,
    "promoted": PROMOTED,
    "rolled back": ROLLED_BACK,
    "hit": HIT,
    "inconclusive": INCONCLUSIVE,
    "silent": SILENT,
    "nothing": NOTHING,
    "hostile": HOSTILE_RUN,
}
