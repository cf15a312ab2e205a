"""Sluice as people install it – the image, the chart, in-cluster Pods – and what holds when its parts die.

Each test takes a part away and shows the same three things: nothing unapproved starts, nothing that runs is touched, and approved Pods start as soon as
either part is back.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster import Cluster, Narrator, StepFailed
from e2e.images import build_sluice
from sluice.api.names import HELD_ANNOTATION, SCHEDULING_GATE
from tests.cluster.canary_story import BASELINE, CANDIDATE, Canary, sluice_image
from tests.cluster.installation import disturbed, remove
from tests.cluster.namespace import Namespace, condition_of
from tests.cluster.stored_weights import StoredWeights
from tests.cluster.story import OLGA, SAM, SVEN, TINA, Story
from tests.unit.cli.models import run
from tests.unit.decision import case

CHART = Path(__file__).parents[2] / "charts" / "sluice"
SYSTEM = "sluice-system"
CONTROLLER, WEBHOOK = "sluice-controller", "sluice-webhook"
Object = dict[str, Any]


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Iterator[Cluster]:
    """Sluice, installed with Helm. Other modules of this run installed the CRDs by hand, which Helm takes over."""
    image = cluster.load_image(build_sluice(narrator=Narrator(quiet=True)).layout, repository="sluice")
    repository, _, digest = image.partition("@")
    values = (f"--set=image.repository={repository}", f"--set=image.digest={digest}", f"--set=evidence.registries={{http://{cluster.registry}}}")
    remove(cluster)
    _helm(cluster, "upgrade", "--install", "sluice", str(CHART), "--create-namespace", "--take-ownership", "--wait", "--timeout=3m", *values)
    yield cluster
    _helm(cluster, "uninstall", "sluice", "--wait")
    disturbed(cluster)


def _helm(cluster: Cluster, *arguments: str) -> None:
    command = [str(cluster.binaries["helm"]), f"--kubeconfig={cluster.kubeconfig}", f"--namespace={SYSTEM}", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def scale(cluster: Cluster, name: str, replicas: int) -> None:
    """Set the replicas of one of our Deployments, and wait until so many are there, and no Pod more."""
    cluster.kubectl("scale", f"deployment/{name}", f"--replicas={replicas}", f"--namespace={SYSTEM}")
    cluster.kubectl("rollout", "status", f"deployment/{name}", f"--namespace={SYSTEM}", "--timeout=60s")
    if not replicas:
        component = name.removeprefix("sluice-")
        cluster.kubectl("delete", "pods", f"--selector=app.kubernetes.io/component={component}", f"--namespace={SYSTEM}", "--grace-period=1", "--timeout=30s")


@pytest.fixture
def dead(installed: Cluster, request: pytest.FixtureRequest) -> Iterator[tuple[str, ...]]:
    """Name the parts that the test takes away; they are back afterwards."""
    yield request.param
    for name in request.param:
        scale(installed, name, 2)


def gated(pod: Object) -> bool:
    return any(gate["name"] == SCHEDULING_GATE for gate in pod["spec"].get("schedulingGates", ()))


def running(pod: Object) -> bool:
    return pod["status"].get("phase") == "Running" and not gated(pod)


def available(deployment: Object) -> bool:
    return bool(deployment["status"].get("availableReplicas") == deployment["spec"]["replicas"])


def held_for(deployment: Object, release: str) -> bool:
    return deployment["spec"].get("paused") is True and deployment["metadata"]["annotations"][HELD_ANNOTATION] == release


def serving(ns: Namespace) -> tuple[Story, set[str]]:
    """An approved release that serves, and its running Pods."""
    story = Story(ns)
    story.until_serving()
    ns.apply(story.deployment("churn"))
    ns.wait("deployment", "churn", available)
    return story, {pod["metadata"]["uid"] for pod in ns.list("pods", selector="app=churn")}


def verified_image(story: StoredWeights, folder: Path) -> Object:
    """What `sluice verify image` says about the image of the release, out of its registry."""
    (folder / "trust.json").write_text(json.dumps(story.ns.get("trustroot", story.ns.name)))
    who = ("--trust-root", folder / "trust.json", "--identity", case.TRAINER, "--issuer", case.ISSUER)
    answer: Object = json.loads(run("verify", "image", story.image, *who, "--plain-http", "-o", "json").stdout)
    return answer


def test_an_approved_release_starts_and_another_waits(installed: Cluster, ns: Namespace) -> None:
    story, pods = serving(ns)
    assert len(pods) == 2
    ns.apply(story.pod("other", release="churn-9"))
    assert gated(ns.get("pod", "other"))
    assert installed.kubectl("get", "mr", "-n", ns.name).stdout.splitlines()[1].split()[1:5] == ["churn", "2.1.0", "standard", "Serving"]


Change = Callable[[Object], object]
UNBUILT = {"name": "proxy", "type": "Image", "uri": f"registry.example.com/proxy@{case.digest_of('proxy')}", "digest": case.digest_of("proxy")}
CORPUS: dict[str, tuple[Change, tuple[tuple[str, Object, str], ...], str]] = {
    "signed-off": (lambda _: None, (("owner", OLGA, "Approve"), ("security", SAM, "Approve")), "Serving"),
    "half-signed-off": (lambda _: None, (("owner", OLGA, "Approve"),), "AwaitingApproval"),
    "by-the-trainer": (lambda _: None, (("owner", TINA, "Approve"), ("security", SAM, "Approve")), "AwaitingApproval"),
    "rejected": (lambda _: None, (("owner", OLGA, "Approve"), ("security", SAM, "Reject")), "Rejected"),
    "unproven": (lambda spec: spec["artifacts"][0].update(digest=case.digest_of("other weights")), (), "AwaitingEvidence"),
    "without-weights": (lambda spec: spec["artifacts"].pop(0), (), "Rejected"),
    "signed-in-git": (lambda _: None, (("owner", OLGA, "Approve"), ("security", SAM, "Sign")), "Serving"),
    "waived": (lambda spec: spec["artifacts"].append(UNBUILT), (("owner", OLGA, "Approve"), ("security", SAM, "Approve")), "Serving"),
}
"""Releases, whose decisions they get, and what is to come out."""
DOORS = {"Serving": ("let in", "let in"), "AwaitingApproval": ("let in", "held"), "AwaitingEvidence": ("let in", "held"), "Rejected": ("denied", "held")}
"""What becomes of a Pod of a release in each phase: at the door of the API server, and behind it."""


def at_the_door(installed: Cluster, pod: Object, folder: Path, *options: str) -> str:
    """Apply a Pod as people do. A denial names the release; anything else that goes wrong is none."""
    path = folder / f"{pod['metadata']['name']}.json"
    path.write_text(json.dumps(pod))
    try:
        installed.kubectl("apply", "-f", str(path), *options)
    except StepFailed as refused:
        return "denied" if pod["metadata"]["labels"]["sluice.dev/release"] in str(refused) and "denied the request" in str(refused) else str(refused)
    return "let in"


def test_four_doors_say_the_same_of_every_release(installed: Cluster, ns: Namespace, tmp_path: Path) -> None:
    """The controller, a dry run, admission, and the command line from nothing but the manifests."""
    stories = {name: Story(ns, release=name) for name in CORPUS}
    first = stories["signed-off"]
    first.platform()
    first.prove()
    for name, (change, _, _) in CORPUS.items():
        release = stories[name].release_object()
        change(release["spec"])
        ns.apply(release)
    for name, (_, decisions, _) in CORPUS.items():
        ns.wait("modelrelease", name, lambda mr: "evidenceDigest" in mr.get("status", {}))
        if name == "waived":
            stories[name].waive(name, "built-here", by=SAM, approved_by=SVEN)
        if decisions:
            stories[name].wait_phase("AwaitingApproval")
        for role, person, decision in decisions:
            if decision == "Sign":
                stories[name].sign(f"{name}-{role}", role)
            else:
                stories[name].decide(f"{name}-{role}", role, person, decision=decision)
    # 1. The controller.
    for name, (_, _, phase) in CORPUS.items():
        stories[name].wait_phase(phase)
    # 2. The command line.
    exported = tmp_path / "exported"
    exported.mkdir()
    kinds = "modelreleases,releaseevidences,releaseapprovals,releasewaivers"
    (exported / "namespaced.yaml").write_text(installed.kubectl("get", kinds, "-n", ns.name, "-o", "yaml").stdout)
    (exported / "cluster.yaml").write_text(
        installed.kubectl("get", f"namespace/{ns.name}", f"releasepolicy/{ns.name}", f"trustroot/{ns.name}", "-o", "yaml").stdout
    )
    answers = json.loads(run("check", "-f", exported, "-n", ns.name, "-o", "json").stdout)
    assert {each["release"]: each["phase"] for each in answers} == {name: phase for name, (_, _, phase) in CORPUS.items()}
    assert {each["release"]: each["evidenceDigest"] for each in answers} == {name: story.status()["evidenceDigest"] for name, story in stories.items()}
    # 3. A dry run, and 4. admission.
    for name, (_, _, phase) in CORPUS.items():
        at_door, behind = DOORS[phase]
        pod = stories[name].pod(name)
        assert at_the_door(installed, pod, tmp_path, "-n", ns.name, "--dry-run=server") == at_door, name
        assert at_the_door(installed, pod, tmp_path, "-n", ns.name) == at_door, name
        if at_door == "let in":
            ns.wait("pod", name, running if behind == "let in" else gated)


def test_a_good_candidate_is_promoted_and_once_stopped_its_baseline_stands_in_until_git_says_so_too(installed: Cluster, ns: Namespace) -> None:
    canary = Canary(ns, sluice_image(installed))
    canary.serve_baseline()
    with canary.users() as users:
        held = canary.push(wrong=0)
        assert held["spec"]["paused"] is True
        status = canary.wait_decision("Promote", seconds=180)["status"]
        canary.wait_phase("Serving")
        canary.until_rolled_out()
        canary.wait_tidy()
        assert (status["reason"], status["metrics"][0]["name"], status["metrics"][0]["towards"]) == ("WithinMargin", "accuracy", "Promote")
        assert status["units"] <= status["planned"] == 400
        assert canary.status()["canary"] == {"run": {"name": f"{CANDIDATE}-1"}, "decision": "Promote"}
        assert canary.written_by_us() == []
        assert not ns.get("deployment", "churn")["spec"].get("paused")
        # Somebody stops it while it serves.
        canary.decide("stop", "security", SAM, decision="Reject")
        canary.wait_phase("Rejected")
        canary.until(lambda: not [pod for pod in ns.list("pods", selector=f"sluice.dev/release={CANDIDATE}") if running(pod)], seconds=120)
        served, before = users[CANDIDATE], users[BASELINE]
        canary.until(lambda: users[BASELINE] > before)
        assert canary.written_by_us() == []
        assert ns.get("replicaset", "churn-stand-in")["status"]["readyReplicas"] == 2
        # Git is reverted: the Deployment's own Pods come back, and then the stand-in goes.
        ns.apply(canary.first.deployment_of(wrong=0))
        canary.until_rolled_out()
        canary.until(lambda: ns.list("replicasets", selector="sluice.dev/stand-in") == [], seconds=30)
    assert users["failed"] == 0, users
    assert users[CANDIDATE] == served > 0


@pytest.mark.usefixtures("installed")
def test_evidence_is_found_in_the_registry_and_weights_that_somebody_changed_are_not_loaded(ns: Namespace, tmp_path: Path) -> None:
    story = StoredWeights(ns)
    story.platform()
    story.refer("signature")
    story.evidence("evaluation", story.bundles["evaluation"])
    story.propose()
    # 1. What refers to the image when the release is new, and what comes later, become its evidence.
    assert "found bundles: 1 for server" in story.condition("modelrelease", story.release, "Discovered", "True", reason="EvidenceFound")
    story.refer("server")
    story.wait_phase("AwaitingApproval", seconds=60)
    fetched = [obj for obj in ns.list("releaseevidences", selector=f"sluice.dev/found-for={story.release}") if "oci" in obj["spec"]["bundle"]]
    assert len(fetched) == 2
    assert all(condition_of(obj, "Fetched") == "True" for obj in fetched)
    # A person who asks about the image finds the same: one is about it, the other about the weights.
    answer = verified_image(story, tmp_path)
    assert (answer["verified"], sorted(each.get("reason", "") for each in answer["bundles"])) == (True, ["", "SubjectMissing"])
    story.approve()
    story.wait_phase("Serving")
    # 2. What was signed is loaded. A container that bears the name of the check is no check.
    # A volume has a folder at its top that only root may read: nobody who loads from this one is root.
    right = story.fetching_pod("right", tamper="mkdir -m 700 /models/lost+found")
    right["spec"]["containers"][0]["securityContext"] = {"runAsUser": 1000}
    ns.apply(right)
    changed = story.fetching_pod("changed", tamper="printf x >> /models/config.json")
    checking = ns.get("pod", "right")["spec"]["initContainers"][-1]
    changed["spec"]["initContainers"].append({"name": checking["name"], "image": story.image, "command": ["true"]})
    ns.apply(changed)
    loaded = ns.wait("pod", "right", lambda pod: condition_of(pod, "Ready") == "True", seconds=60)
    assert "verified 2 files" in loaded["status"]["initContainerStatuses"][-1]["state"]["terminated"]["message"]

    # 3. What somebody changed is not: the server never starts, and the Pod says why.
    def refused(pod: Object) -> bool:
        *_, check = pod["status"].get("initContainerStatuses") or [{}]
        ended = (check.get("state") or {}).get("terminated") or (check.get("lastState") or {}).get("terminated") or {}
        return ended.get("exitCode") == 1 and "NOT VERIFIED" in ended.get("message", "")

    wrong = ns.wait("pod", "changed", refused, seconds=60)
    assert wrong["spec"]["initContainers"][-1]["image"] == checking["image"]
    assert not wrong["status"]["containerStatuses"][0]["started"]
    # 4. Nobody takes the check out of a Pod: one that could write to what was checked is refused.
    writable = story.fetching_pod("writable")
    writable["spec"]["containers"][0]["volumeMounts"][0]["readOnly"] = False
    with pytest.raises(StepFailed, match="WeightsWritable"):
        ns.create(writable)


@pytest.mark.parametrize("dead", [(WEBHOOK,), (CONTROLLER,), (WEBHOOK, CONTROLLER)], ids=["webhook", "controller", "both"], indirect=True)
def test_with_parts_dead_nothing_unapproved_starts_nothing_running_is_touched_and_approved_pods_start_with_either(ns: Namespace, dead: tuple[str, ...]) -> None:
    story, pods = serving(ns)
    for name in dead:
        scale(ns.cluster, name, 0)
    # 1. A new version that nobody approved: the owner is held, its old Pods stay, a bare Pod waits.
    ns.apply(story.deployment("churn", release="churn-9"))
    ns.apply(story.pod("bare", release="churn-9"))
    assert held_for(ns.get("deployment", "churn"), "churn-9")
    assert gated(ns.get("pod", "bare"))
    # 2. Nobody lifts it, whatever they write.
    ns.kubectl("rollout", "resume", "deployment/churn", check=False)
    assert held_for(ns.get("deployment", "churn"), "churn-9")
    with pytest.raises(StepFailed, match="only"):
        ns.kubectl("patch", "pod", "bare", "--type=json", '--patch=[{"op": "remove", "path": "/spec/schedulingGates"}]')
    # 3. What is approved starts through the part that is alive, or as soon as one is back.
    ns.apply(story.pod("more"))
    if len(dead) > 1:
        assert gated(ns.get("pod", "more"))
        scale(ns.cluster, CONTROLLER, 1)
    pod = ns.wait("pod", "more", lambda pod: running(pod) and condition_of(pod, "Ready") == "True", seconds=40)
    assert condition_of(pod, "ContainersReady") == "True"
    # 4. What ran still runs, and what nobody approved still waits.
    assert {pod["metadata"]["uid"] for pod in ns.list("pods", selector="app=churn") if running(pod)} == pods
    assert gated(ns.get("pod", "bare"))
