"""The way back is tried on a real cluster before anybody needs it: a release that waits for nothing else gets its drill, and serves; users notice nothing."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from e2e.cluster import Cluster
from sluice.evidence.drill import parse_drill
from sluice.provenance.envelope import read_bundle
from sluice.provenance.statement import parse_statement
from tests.cluster.canary_story import BASELINE, CANDIDATE, Canary, sluice_image
from tests.cluster.controller import NAMESPACE, Controller
from tests.cluster.namespace import Namespace, Object, condition_of

DRILL = "before-the-holidays"
OBJECT: Object = {
    "apiVersion": "sluice.dev/v1alpha1", "kind": "ReleaseDrill", "metadata": {"name": DRILL}, "spec": {"release": {"name": CANDIDATE}},
}  # fmt: skip


class Drilled(Canary):
    """The policy asks for a drill, and believes the key that the controller has published."""

    def policy_spec(self) -> Object:
        policy = super().policy_spec()
        policy["requirements"] = [item for item in policy["requirements"] if item["type"] != "Canary"]
        policy["requirements"].append({"name": "way-back", "type": "RollbackDrill", "maxAge": "30d"})
        published = json.loads(self.ns.cluster.kubectl("get", "configmap", "sluice-controller-key", f"--namespace={NAMESPACE}", "--output=json").stdout)
        trust_root = json.loads(published["data"]["trust-root.json"])
        self.ns.apply(trust_root)
        key = trust_root["spec"]["keys"][0]["name"]
        policy["signers"].append({"name": "sluice", "trustRoot": trust_root["metadata"]["name"], "key": key, "may": ["RollbackDrill"]})
        return policy

    @property
    def first(self) -> Canary:
        return Drilled(self.ns, self.image, release=BASELINE, baseline=None)


def test_a_release_serves_once_the_way_back_from_it_was_tried_though_the_controller_is_killed_meanwhile(
    cluster: Cluster, ns: Namespace, tmp_path: Path
) -> None:
    image = sluice_image(cluster)
    with Controller(cluster, tmp_path) as installed:
        killed = installed.lead("controller-0")
        killed.wait_said("signs with key")
        story = Drilled(ns, image)
        story.serve_baseline()
        story.propose()
        story.wait_phase("AwaitingApproval")
        story.approve()
        waiting = story.wait_phase("AwaitingEvidence")
        assert waiting["status"]["missing"] == "way-back"
        assert story.condition("modelrelease", CANDIDATE, "Drilled", "False", reason="DrillMissing")
        with story.users() as users:
            assert story.ns.apply(story.deployment_of(0))["spec"]["paused"] is True
            ns.create(OBJECT)
            killed.wait_said(f"made Pod {DRILL}-baseline", seconds=120)
            killed.kill()
            installed.start("controller-1")
            passed = ns.wait("releasedrill", DRILL, lambda item: item.get("status", {}).get("phase") in {"Passed", "Failed"}, seconds=180)["status"]
            assert passed["phase"] == "Passed", passed
            story.wait_phase("Serving")
            ns.wait("releasedrill", DRILL, lambda item: condition_of(item, "Complete") == "True", seconds=30)
        # What was measured is what was signed.
        evidence = ns.get("releaseevidence", passed["evidence"]["name"])
        said = parse_drill(parse_statement(read_bundle(base64.b64decode(evidence["spec"]["bundle"]["inline"])).payload))
        assert (said.release, said.baseline, said.deployment) == (CANDIDATE, BASELINE, "churn")
        measured = {field: float(passed["measured"][f"{field}Seconds"]) for field in ("restore", "out", "back")}
        assert [said.restore_ms, said.out_ms, said.back_ms] == [round(1000 * seconds) for seconds in measured.values()]
        assert 0 < measured["out"] < 10
        assert 0 < measured["back"] < 10
        assert story.condition("releaseevidence", passed["evidence"]["name"], "Verified", "True", reason="SignatureVerified")
        # Nothing is left, nobody waited for an answer, and nobody was answered by a Pod of the drill before the release served.
        left = [item for kind in ("pods", "services", "networkpolicies") for item in ns.list(kind, selector=f"sluice.dev/drill={DRILL}")]
        assert left == []
        assert [item["metadata"]["name"] for item in ns.list("networkpolicies")] == []
        assert users["failed"] == 0, users
