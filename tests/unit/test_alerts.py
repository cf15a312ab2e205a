"""The alerting rules speak of what the processes really show, say what to do, and are tested both ways. promtool itself runs in `tests/cluster`."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from sluice.api.canary import CanaryDecision, CanaryPhase
from sluice.api.drill import DrillPhase
from sluice.api.monitor import Cause, MonitorPhase
from sluice.api.release import Outcome, Phase
from sluice.controller.canary_metrics import Step
from sluice.controller.observe import Metrics as ControllerMetrics
from sluice.decision.discovery_reasons import DiscoveryReason
from sluice.decision.drills import Drill
from sluice.decision.gate import Action
from sluice.decision.reasons import Reason
from sluice.decision.records import Key
from sluice.scoring.tally import Merged
from sluice.webhook.admission import Path as WebhookPath
from sluice.webhook.metrics import Metrics as WebhookMetrics

CHECKOUT = Path(__file__).parents[2]
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((CHECKOUT / "charts/sluice/files/alerts.yaml").read_text())["groups"] for rule in group["rules"]
]
TESTS: list[dict[str, Any]] = [
    test for path in sorted((CHECKOUT / "tests/cluster/alerts").glob("*.yaml")) for test in yaml.safe_load(path.read_text())["tests"]
]
OURS: dict[str, set[str]] = {
    "phase": {*CanaryPhase, *MonitorPhase, *Phase}, "reason": {*DiscoveryReason}, "cause": {*Cause}, "decision": {*CanaryDecision}, "action": {*Action},
    "path": {*WebhookPath},
}  # fmt: skip
"""Values that a label can have."""
TARGET = {"instance"}
"""Labels that Prometheus adds to all that it scrapes."""
KEY = Key(namespace="payments", name="churn")
every_rule = pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])


def controller() -> bytes:
    """What a controller shows to which everything has happened once."""
    metrics = ControllerMetrics(leads=lambda: True)
    metrics.judged(KEY, Phase.CANARY, [Outcome.MISSING])
    metrics.moved(Phase.CANARY)
    metrics.looked("CanaryRun", seconds=0.1, failed=True)
    metrics.accepted("ReleasePolicy", KEY, accepted=False)
    metrics.revoked(KEY, runs=True)
    metrics.discovering(lambda: [DiscoveryReason.NotAuthorized])
    metrics.drills.known(lambda: [(KEY, Drill(namespace=KEY.namespace, name="churn-1", release="churn", phase="Failed", finished_at="2026-11-20T12:00:00Z"))])
    metrics.drills.overdue(KEY, overdue=True)
    metrics.drills.ended(KEY, DrillPhase.FAILED, "TemplateGone")
    metrics.drills.measured("out_seconds", 0.5)
    canaries = metrics.canaries
    for number, phase in enumerate(CanaryPhase):
        canaries.stands(Key(namespace="payments", name=f"churn-{number}"), Step(phase=phase, created=1.0, decision=CanaryDecision.ROLL_BACK, decided=2.0))
    canaries.counted(Key(namespace="payments", name="churn-0"), Merged(scored=1, of=2, finished=False, looks=(), gates={}, samples=()))
    canaries.decided(KEY, CanaryDecision.ROLL_BACK, "WorseThanMargin", seconds=60)
    canaries.cleaned_up(CanaryDecision.ROLL_BACK, seconds=1)
    canaries.unread("Unreachable")
    canaries.inconclusive(KEY, waits=True)
    finding = {"cause": "Drift", "ask": "RollBack", "at": "2026-11-21T12:00:00Z", "message": "mean: rise to 0.3"}
    heard = {"type": "Heard", "status": "True"}
    metrics.monitors.stands(KEY, {"phase": "Alarmed", "findings": [finding], "lastReading": "2026-11-21T12:00:00Z", "conditions": [heard]})
    metrics.monitors.unread("Unreachable")
    return metrics.render()


def webhook() -> bytes:
    """The same for a webhook."""
    metrics = WebhookMetrics(world_age_seconds=lambda: 1.0, certificate_expires=lambda: 2e9)
    metrics.answered(WebhookPath.VALIDATE, Action.DENY, Reason.CanaryRolledBack, seconds=0.001)
    metrics.unanswered("Deadline")
    return metrics.render()


@pytest.fixture(scope="module")
def shown() -> dict[str, set[str]]:
    """Names of the series that the processes show, with their labels."""
    found: dict[str, set[str]] = defaultdict(set)
    for page in (controller(), webhook()):
        for family in text_string_to_metric_families(page.decode()):
            for sample in family.samples:
                found[sample.name] |= sample.labels.keys()
    return found


@every_rule
def test_a_rule_asks_for_metrics_and_labels_that_are_there(rule: dict[str, Any], shown: dict[str, set[str]]) -> None:
    names = set(re.findall(r"\bsluice_\w+", rule["expr"]))
    assert names
    assert names - shown.keys() == set()
    for name, selector in re.findall(r"\b(sluice_\w+){([^}]*)}", rule["expr"]):
        for label, operator, values in re.findall(r'(\w+)(=~|=)"([^"]*)"', selector):
            assert label in shown[name]
            assert set(values.split("|") if operator == "=~" else [values]) <= OURS[label]
    known = TARGET.union(*(shown[name] for name in names))
    grouped = {label.strip() for labels in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in labels.split(",")}
    assert grouped <= known
    told = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    assert told <= (grouped or known), "an aggregation leaves no other labels"


@every_rule
def test_a_rule_says_how_urgent_it_is_and_where_the_runbook_is(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert anchor == rule["alert"].lower()
    assert re.search(rf"^## {rule['alert']}$", (CHECKOUT / page).read_text(), flags=re.MULTILINE)


def test_the_runbook_speaks_of_no_alert_that_is_not_there() -> None:
    told = re.findall(r"^## (Sluice\w+)$", (CHECKOUT / "docs/alerts.md").read_text(), flags=re.MULTILINE)
    assert told == [rule["alert"] for rule in RULES]


def test_the_list_of_metrics_is_that_of_the_processes(shown: dict[str, set[str]]) -> None:
    listed = set(re.findall(r"^\| `(sluice_\w+)`", (CHECKOUT / "docs/alerts.md").read_text(), flags=re.MULTILINE))
    base = {re.sub(r"_(bucket|count|sum)$", "", name) for name in shown if not name.endswith("_created")}
    assert listed == base


@every_rule
def test_a_rule_is_tested_both_ways(rule: dict[str, Any]) -> None:
    asked = [case for test in TESTS for case in test["promql_expr_test"] if re.search(rf'alertname=~?"[^"]*\b{rule["alert"]}\b', case["expr"])]
    assert any(case.get("exp_samples") for case in asked), "it never fires"
    assert any(not case.get("exp_samples") for case in asked), "it is never silent"
