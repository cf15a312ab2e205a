"""The way back is tried on a real cluster before anybody needs it: a release that waits for nothing else gets its drill, and serves; users notice nothing.

Then the policy wants it tried in a scratch namespace, which lacks at first what the templates name.
"""

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
SECRET: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}, "stringData": {"token": "t"}}


class Drilled(Canary):
    """The policy asks for a drill, and believes the key that the controller has published. The servers need a Secret."""

    place: str | None = None
    """Where the policy wants it done."""

    def deployment_of(self, wrong: int, *, replicas: int = 2) -> Object:
        deployment = super().deployment_of(wrong, replicas=replicas)
        token = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "token"}}}
        deployment["spec"]["template"]["spec"]["containers"][0]["env"] = [token]
        return deployment

    def policy_spec(self) -> Object:
        policy = super().policy_spec()
        policy["requirements"] = [item for item in policy["requirements"] if item["type"] != "Canary"]
        policy["requirements"].append({"name": "way-back", "type": "RollbackDrill", "maxAge": "30d"} | ({"place": self.place} if self.place else {}))
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
        ns.apply(SECRET)
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
        drill_in_scratch(story)


def drill_in_scratch(story: Drilled) -> None:
    """Where the policy wants the way back tried in a scratch namespace, it is, once the platform team has prepared one."""
    ns, labels = story.ns, {"sluice.dev/govern": "true", "sluice.dev/stage": "production", "sluice.dev/scratch-for": story.ns.name}
    story.place = "ScratchNamespace"
    story.platform()
    assert "was done in place OwnNamespace" in story.condition("modelrelease", CANDIDATE, "Drilled", "False", reason="DrillMissing")

    def start(name: str) -> None:
        ns.create(OBJECT | {"metadata": {"name": name}, "spec": {"release": {"name": CANDIDATE}, "place": "ScratchNamespace"}})

    def says(name: str, words: str) -> Object:
        status: Object = ns.wait("releasedrill", name, lambda item: words in item.get("status", {}).get("message", ""), seconds=60)["status"]
        return status

    def left() -> list[Object]:
        return [item for kind in ("pods", "services", "networkpolicies") for item in scratch.list(kind)]

    start("unprepared")
    assert says("unprepared", f"no other namespace has the label sluice.dev/scratch-for: {ns.name}")["phase"] == "Pending"
    with Namespace(ns.cluster, labels=labels) as scratch:
        # 1. What the templates name and nobody has put there is told, in the words of the API server and of the kubelet.
        assert says("unprepared", 'serviceaccount "churn" not found')["reason"] == "RefusedByCluster"
        scratch.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "churn"}})
        assert says("unprepared", 'secret "token" not found')["scratchNamespace"] == scratch.name
        assert [item["metadata"]["name"] for item in scratch.list("pods")] == ["unprepared-release"]
        # 2. Owner references do not cross namespaces: what a deleted drill has left is swept.
        ns.delete("releasedrill", "unprepared")
        story.until(lambda: left() == [])
        # 3. With all of it the drill passes, beside the namespace of the users, and counts.
        scratch.apply(SECRET)
        pods = {item["metadata"]["name"] for item in ns.list("pods")}
        start("prepared")
        ns.wait("releasedrill", "prepared", lambda item: item.get("status", {}).get("phase") == "Restoring", seconds=60)
        assert {item["metadata"]["name"] for item in ns.list("pods")} == pods
        passed = ns.wait("releasedrill", "prepared", lambda item: condition_of(item, "Complete") == "True", seconds=120)["status"]
        assert passed["phase"] == "Passed", passed
        story.condition("modelrelease", CANDIDATE, "Drilled", "True", reason="DrillPassed")
        (met,) = (item for item in story.status()["requirements"] if item["name"] == "way-back")
        assert f"in scratch namespace {scratch.name}" in met["message"]
        assert left() == []
