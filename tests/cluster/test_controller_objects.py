"""Bad input of every kind: the object concerned says what is wrong and what to do, and all others go on. And nothing is written twice."""

from __future__ import annotations

import base64
import gzip
import json
import re
import time
from collections.abc import Iterator

import pytest

from e2e.cluster import Cluster
from tests.cluster.controller import Controller, Process
from tests.cluster.namespace import Namespace
from tests.cluster.story import OLGA, RELEASE, SAM, Object, Story
from tests.unit.decision import case

RESYNC_SECONDS = 1.0


@pytest.fixture(scope="module")
def controller(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """It looks at everything once a second."""
    with Controller(cluster, tmp_path_factory.mktemp("objects")) as installed:
        yield installed.lead("controller-0", resync=RESYNC_SECONDS)


@pytest.fixture
def story(controller: Process, ns: Namespace) -> Story:
    assert controller.process.poll() is None, controller.said()
    return Story(ns)


def evidence(story: Story, name: str, inline: str) -> None:
    story.ns.apply({"apiVersion": "sluice.dev/v1alpha1", "kind": "ReleaseEvidence", "metadata": {"name": name}, "spec": {"bundle": {"inline": inline}}})


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


BROKEN = {
    "base64": ("%%% not base64 %%%", "Base64Malformed"),
    "deep": (encoded(b"[" * 1_000 + b"]" * 1_000), "BundleMalformed"),
    "many": (encoded(b"[" * 100_000 + b"]" * 100_000), "BundleTooLarge"),
    "compressed": (encoded(gzip.compress(b"0" * 1_000_000)), "BundleMalformed"),
    "keys": (encoded(b'{"a":1,"a":2}'), "BundleMalformed"),
    "numbers": (encoded(b'{"n":' + b"9" * 200_000 + b"}"), "BundleMalformed"),
}


def test_broken_bundles_are_refused_where_they_are_and_the_release_beside_them_serves(story: Story) -> None:
    story.platform()
    for name, (inline, _) in BROKEN.items():
        evidence(story, name, inline)
    for name, (_, reason) in BROKEN.items():
        message = story.condition("releaseevidence", name, "Verified", "False", reason=reason)
        assert message, name
    assert "base64 -w0" in story.condition("releaseevidence", "base64", "Verified", "False", reason="Base64Malformed")
    story.until_serving()


def test_a_bundle_of_five_megabytes_is_refused_by_the_api_server_with_the_field_and_the_limit(story: Story) -> None:
    obj = {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "ReleaseEvidence",
        "metadata": {"name": "huge"},
        "spec": {"bundle": {"inline": encoded(b"x" * (5 << 20))}},
    }
    # By kubectl: the API server hangs up on a request that is too long, and kubectl reads why.
    done = story.ns.kubectl("create", "--filename=-", stdin=json.dumps(obj), check=False)
    assert done.returncode != 0
    assert re.search(r"may not be more than 524288|[Tt]oo long|too large|limit is", done.stderr), done.stderr[:500]


def test_a_trust_root_that_does_not_parse_says_so_and_its_policy_and_evidence_say_so_too(story: Story) -> None:
    story.platform()
    story.propose()
    story.prove()
    story.wait_phase("AwaitingApproval")
    good = case.trust_root()["spec"]
    broken: Object = {"sigstore": {"trustedRoot": '{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"'}}
    root = {"apiVersion": "sluice.dev/v1alpha1", "kind": "TrustRoot", "metadata": {"name": story.ns.name}, "spec": broken}
    story.ns.apply(root)
    assert story.condition("trustroot", story.ns.name, "Accepted", "False", reason="TrustRootInvalid")
    story.condition("releasepolicy", story.ns.name, "Accepted", "False", reason="TrustRootInvalid")
    story.condition("releaseevidence", "signature", "Verified", "False", reason="TrustRootMissing")
    story.ns.wait("modelrelease", RELEASE, lambda mr: mr["status"]["phase"] != "AwaitingApproval")
    story.ns.apply(root | {"spec": good})
    story.condition("trustroot", story.ns.name, "Accepted", "True", reason="Accepted")
    story.condition("releaseevidence", "signature", "Verified", "True", reason="SignatureVerified")
    story.wait_phase("AwaitingApproval")


def test_a_signed_decision_says_of_itself_whether_it_counts_and_when_it_does_no_more(story: Story) -> None:
    story.platform()
    story.propose()
    story.prove()
    story.wait_phase("AwaitingApproval")
    story.sign("by-sam", "security")
    story.condition("releaseevidence", "by-sam", "Counted", "True", reason="Counted")
    story.sign("as-owner", "owner")
    story.condition("releaseevidence", "as-owner", "Counted", "False", reason="RoleNotGranted")
    story.ns.delete("releaseevidence", "evaluation")
    story.condition("releaseevidence", "by-sam", "Counted", "False", reason="EvidenceChanged")


def test_a_policy_that_names_what_is_not_there_is_not_accepted_and_says_what_to_repair(story: Story) -> None:
    def policy(**changes: object) -> None:
        spec = story.policy_spec() | changes
        story.ns.apply({"apiVersion": "sluice.dev/v1alpha1", "kind": "ReleasePolicy", "metadata": {"name": story.ns.name}, "spec": spec})

    def said(reason: str) -> str:
        return story.condition("releasepolicy", story.ns.name, "Accepted", "False", reason=reason)

    story.propose()
    policy()
    assert f"spec.signers[trainer-ci].trustRoot: there is no TrustRoot {story.ns.name!r}" in said("TrustRootNotFound")
    story.platform()
    story.condition("releasepolicy", story.ns.name, "Accepted", "True", reason="Accepted")
    policy(roles=[{"name": "owner", "subjects": [{"kind": "Group", "name": "leads"}]}])
    assert "spec.requirements[approvals].counts: no role is called 'security'" in said("RoleNotDefined")
    policy(tiers=[{"name": "high", "when": "release.nope("}])
    assert "spec.tiers[high].when" in said("PolicyInvalid")
    # It is not ignored: releases wait for its repair.
    story.condition("modelrelease", RELEASE, "Ready", "False", reason="PolicyInvalid")


def test_decisions_about_nothing_say_so(story: Story) -> None:
    story.platform()
    digest = case.digest_of("nothing")
    spec: Object = {"release": {"name": "nowhere"}, "releaseDigest": digest, "evidenceDigest": digest, "role": "owner", "decision": "Approve"}
    story.ns.create({"apiVersion": "sluice.dev/v1alpha1", "kind": "ReleaseApproval", "metadata": {"name": "early"}, "spec": spec}, **OLGA)
    assert "no ModelRelease nowhere" in story.condition("releaseapproval", "early", "Counted", "False", reason="ReleaseNotFound")
    story.propose()
    story.wait_phase("AwaitingEvidence")
    waiver: Object = {
        "release": {"name": RELEASE},
        "releaseDigest": story.status()["releaseDigest"],
        "requirements": ["quality"],
        "reason": "no time",
        "riskOwner": "risk",
        "ticket": "https://risk.example.com/1",
        "expires": "2099-01-01T00:00:00Z",
    }
    story.ns.create({"apiVersion": "sluice.dev/v1alpha1", "kind": "ReleaseWaiver", "metadata": {"name": "lazy"}, "spec": waiver}, **SAM)
    assert "waive quality" in story.condition("releasewaiver", "lazy", "Counted", "False", reason="NothingToWaive")


def test_an_approval_ends_by_time_alone(story: Story) -> None:
    story.until_approval_is_missing()
    status = story.status()
    ends = time.time() + 8
    spec: Object = {
        "release": {"name": RELEASE},
        "releaseDigest": status["releaseDigest"],
        "evidenceDigest": status["evidenceDigest"],
        "role": "owner",
        "decision": "Approve",
        "expires": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends)),
    }
    story.ns.create({"apiVersion": "sluice.dev/v1alpha1", "kind": "ReleaseApproval", "metadata": {"name": "short"}, "spec": spec}, **OLGA)
    story.decide("by-security", "security", SAM)
    story.wait_phase("Serving")
    ended = story.ns.wait("modelrelease", RELEASE, lambda mr: mr["status"]["phase"] != "Serving")
    assert ended["status"]["missing"] == "approvals: owner"
    assert time.time() >= ends - 1
    story.condition("releaseapproval", "short", "Counted", "False", reason="Expired")


def writes(story: Story, *resources: str) -> int:
    """Writes to these resources that the API server has answered so far, whoever sent them."""
    text = story.ns.cluster.kubectl("get", "--raw", "/metrics").stdout
    total = 0.0
    for line in text.splitlines():
        if line.startswith("apiserver_request_total{") and any(f'resource="{name}"' in line for name in resources):
            verb = re.search(r'verb="([A-Z]+)"', line)
            if verb and verb[1] in {"APPLY", "PATCH", "PUT", "POST", "DELETE"}:
                total += float(line.rpartition(" ")[2])
    return int(total)


WINDOWS = 5


def test_looking_again_at_what_has_not_changed_writes_nothing(story: Story, controller: Process) -> None:
    story.until_serving()
    story.ns.apply(story.deployment("churn"))
    story.ns.wait("deployment", "churn", lambda d: d.get("status", {}).get("readyReplicas") == 2, seconds=60)
    held = story.pod("foreign")
    held["spec"]["containers"].append({"name": "miner", "image": f"registry.example.com/miner@{case.digest_of('miner')}"})
    story.ns.apply(held)
    watched = ("modelreleases", "releaseevidences", "releaseapprovals", "releasepolicies", "trustroots")
    looks = 'sluice_reconcile_duration_seconds_count{kind="ModelRelease"}'
    deadline = time.monotonic() + 120
    before, seen = -1, controller.metric(looks)
    while (now := writes(story, *watched)) != before or controller.metric(looks) < seen + 2:
        # Until everything is settled: nothing was written while it looked twice.
        assert time.monotonic() < deadline, "something is written again and again"
        if now != before:
            before, seen = now, controller.metric(looks)
        time.sleep(0.5)
    events = len(story.events("foreign"))
    # What earlier tests left behind may still be going away; a controller that writes at each look has no quiet window at all.
    windows: list[int] = []
    while 0 not in windows and len(windows) < WINDOWS:
        before, seen = writes(story, *watched), controller.metric(looks)
        while controller.metric(looks) < seen + 4:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        windows.append(writes(story, *watched) - before)
    assert 0 in windows, windows
    assert len(story.events("foreign")) == events == 1
