"""What a run makes, as it is sent: whose labels, which gates, who may talk to whom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sluice.rollout.canary_pods import Role, baseline_pod, candidate_pod, is_owned_by, pod_name, replica_set_of, run_name
from sluice.rollout.canary_state import Stand, state_of
from sluice.rollout.remote_scorers import JudgePods, Sidecar, Token, judges_of
from sluice.rollout.scoring_job import CasesImage, ScorerImage, network_policies, plan_map, scoring_job
from sluice.scoring.cases import StatedCases
from sluice.scoring.plan import shards_for

Object = dict[str, Any]
IMAGE = ScorerImage(reference="registry.example.com/sluice@sha256:" + "1" * 64, controller_namespace="sluice-system")
RUN: Object = {"metadata": {"namespace": "payments", "name": "churn-2-1", "uid": "run-1"}}


def template(release: str) -> Object:
    labels = {"app": "churn", "sluice.dev/release": release}
    annotations = {"prometheus.io/scrape": "true", "argocd.argoproj.io/tracking-id": "churn:apps/Deployment:payments/churn"}
    container = {"name": "server", "image": f"registry.example.com/{release}@sha256:{'2' * 64}"}
    return {"metadata": {"labels": labels, "annotations": annotations}, "spec": {"containers": [container], "nodeSelector": {"gpu": "yes"}}}


def deployment(release: str = "churn-2") -> Object:
    meta = {"namespace": "payments", "name": "churn", "uid": "d1", "annotations": {"sluice.dev/held": release}}
    return {"metadata": meta, "spec": {"template": template(release), "paused": True}}


def replica_set(name: str, release: str, *, made: str, owner: str = "d1") -> Object:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "churn", "uid": owner, "controller": True}
    labelled = template(release)
    labelled["metadata"]["labels"]["pod-template-hash"] = name
    return {"metadata": {"name": name, "uid": name, "creationTimestamp": made, "ownerReferences": [reference]}, "spec": {"template": labelled}}


def test_the_candidate_is_what_the_template_says_and_nobodys_but_the_runs() -> None:
    pod = candidate_pod(RUN, deployment())
    assert pod["metadata"]["labels"] == {
        "app": "churn", "sluice.dev/release": "churn-2", "sluice.dev/canary-run": "churn-2-1", "sluice.dev/canary-role": "candidate",
    }  # fmt: skip
    assert pod["metadata"]["annotations"] == {"prometheus.io/scrape": "true"}
    assert pod["spec"]["containers"] == template("churn-2")["spec"]["containers"]
    assert pod["spec"]["nodeSelector"] == {"gpu": "yes"}
    assert pod["metadata"]["ownerReferences"] == [
        {"apiVersion": "sluice.dev/v1alpha1", "kind": "CanaryRun", "name": "churn-2-1", "uid": "run-1", "controller": True}
    ]
    assert is_owned_by(pod, RUN)
    assert not is_owned_by(pod, {"metadata": {"uid": "another", "name": "churn-2-1"}})


def test_both_pods_wait_at_both_gates_also_without_admission_policies_and_keep_gates_of_others() -> None:
    gated = deployment()
    gated["spec"]["template"]["spec"] |= {"schedulingGates": [{"name": "example.com/quota"}], "readinessGates": [{"conditionType": "sluice.dev/serving"}]}
    for pod in (candidate_pod(RUN, gated), baseline_pod(RUN, replica_set("a", "churn-1", made="1"))):
        assert {"name": "sluice.dev/release"} in pod["spec"]["schedulingGates"]
        assert pod["spec"]["readinessGates"] == [{"conditionType": "sluice.dev/serving"}]
    assert candidate_pod(RUN, gated)["spec"]["schedulingGates"][0] == {"name": "example.com/quota"}
    assert len(gated["spec"]["template"]["spec"]["schedulingGates"]) == 1, "the template is not changed"


def test_no_service_and_no_replica_set_knows_the_baseline() -> None:
    pod = baseline_pod(RUN, replica_set("a", "churn-1", made="1"))
    assert pod["metadata"]["labels"] == {"sluice.dev/release": "churn-1", "sluice.dev/canary-run": "churn-2-1", "sluice.dev/canary-role": "baseline"}


def test_the_baseline_comes_from_the_newest_template_of_this_deployment_that_names_it() -> None:
    sets = [
        replica_set("old", "churn-1", made="2026-01-01T00:00:00Z"),
        replica_set("new", "churn-1", made="2026-02-01T00:00:00Z"),
        replica_set("other", "churn-0", made="2026-03-01T00:00:00Z"),
        replica_set("foreign", "churn-1", made="2026-04-01T00:00:00Z", owner="d2"),
    ]
    found = replica_set_of(deployment(), sets, "churn-1")
    assert found is not None
    assert found["metadata"]["name"] == "new"
    assert replica_set_of(deployment(), sets, "churn-9") is None


@pytest.mark.parametrize("release", ["churn-2", "churn.2.1", "a" * 63, "x" * 40 + ".y", "x" * 30 + "." * 3 + "y"])
def test_every_name_that_follows_from_a_run_fits_where_it_goes(release: str) -> None:
    name = run_name(release, 12)
    run = {"metadata": {"namespace": "payments", "name": name, "uid": "u"}}
    job = scoring_job(run, IMAGE, shards=64, seconds=60, token=None, serving_baseline=None, cases="{}")
    assert len(f"{job['metadata']['name']}-63") <= 63
    assert "." not in name
    assert len(name) <= 63


def test_releases_with_alike_names_have_runs_of_their_own() -> None:
    alike = ["a" * 41, "a" * 42, "a.b", "a-b", "a" * 40 + "-1"]
    assert len({run_name(release, 1) for release in alike}) == len(alike)


def test_scorers_have_no_credentials_and_no_rights() -> None:
    job = scoring_job(RUN, IMAGE, shards=4, seconds=600, token=None, serving_baseline=None, cases="{}")
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 4, 4)
    assert spec["backoffLimitPerIndex"] > 0
    assert spec["maxFailedIndexes"] == 0
    drained, refused = spec["podFailurePolicy"]["rules"]
    assert drained["action"] == "Ignore", "a drained node is nobody's fault"
    assert (refused["action"], refused["onExitCodes"]["values"]) == ("FailJob", [65]), "cases that do not fit are not mended by another attempt"
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    (container,) = pod["containers"]
    assert container["image"] == IMAGE.reference
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert "env" not in container
    assert not [volume for volume in pod["volumes"] if "secret" in volume]
    assert job["spec"]["template"]["metadata"]["labels"]["sluice.dev/canary-role"] == Role.SCORER


def test_a_job_waits_in_the_queue_that_the_platform_team_names() -> None:
    queued = scoring_job(RUN, replace(IMAGE, queue="scoring"), shards=1, seconds=60, token=None, serving_baseline=None, cases="{}")
    assert queued["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "scoring"
    plain = scoring_job(RUN, IMAGE, shards=1, seconds=60, token=None, serving_baseline=None, cases="{}")
    assert "kueue.x-k8s.io/queue-name" not in plain["metadata"]["labels"]


@pytest.mark.parametrize(("units", "shards"), [(20, 1), (499, 1), (500, 2), (3000, 7), (1_000_000, 8)])
def test_a_few_hundred_units_share_a_scorer(units: int, shards: int) -> None:
    assert shards_for(units) == shards


def test_a_suite_with_a_token_mounts_that_one_key() -> None:
    job = scoring_job(RUN, IMAGE, shards=1, seconds=600, token=Token(secret="vllm", key="api-key"), serving_baseline=None, cases="{}")
    pod = job["spec"]["template"]["spec"]
    (secret,) = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
    assert secret == {"secretName": "vllm", "items": [{"key": "api-key", "path": "token"}]}
    assert "--token-file" in pod["containers"][0]["args"]


def test_scorers_reach_the_two_pods_and_nothing_else_and_the_two_pods_answer_scorers_only() -> None:
    scorers, models = network_policies(RUN, IMAGE, port=8080, serving_baseline=None)
    of_run = {"podSelector": {"matchLabels": {"sluice.dev/canary-run": "churn-2-1"}}}
    assert scorers["spec"]["egress"] == [{"to": [of_run], "ports": [{"protocol": "TCP", "port": 8080}]}]
    assert scorers["spec"]["policyTypes"] == ["Ingress", "Egress"]
    ((source,),) = [rule["from"] for rule in scorers["spec"]["ingress"]]
    assert source["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "sluice-system"}}
    assert models["spec"]["policyTypes"] == ["Ingress"]
    ((only,),) = [rule["from"] for rule in models["spec"]["ingress"]]
    assert only == {"podSelector": scorers["spec"]["podSelector"]}
    serving, _ = network_policies(RUN, IMAGE, port=8080, serving_baseline="churn-1")
    assert {"podSelector": {"matchLabels": {"sluice.dev/release": "churn-1"}}} in serving["spec"]["egress"][0]["to"]


def test_cases_in_an_image_are_mounted_and_not_copied() -> None:
    cases = CasesImage(reference="registry.example.com/cases@sha256:" + "2" * 64, path="all/cases.jsonl", stated=StatedCases(digest="", count=1))
    assert set(plan_map(RUN, plan="{}", cases=cases)["data"]) == {"plan.json"}
    pod = scoring_job(RUN, IMAGE, shards=1, seconds=600, token=None, serving_baseline=None, cases=cases)["spec"]["template"]["spec"]
    (volume,) = [volume for volume in pod["volumes"] if "image" in volume]
    (mount,) = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == volume["name"]]
    assert volume["image"] == {"reference": cases.reference, "pullPolicy": "IfNotPresent"}
    assert mount["readOnly"] is True
    assert f"{mount['mountPath']}/all/cases.jsonl" in pod["containers"][0]["args"]


OWN = Sidecar(metric="own", image="registry.example.com/own@sha256:" + "3" * 64, args=["--strict"], memory="256Mi", port=8101)
JUDGE = JudgePods(metric="helpful", release="judge-1", port=9000, token=Token(secret="judge", key="api-key"))


def test_a_container_of_ones_own_runs_beside_the_scorer_and_sees_nothing_of_it() -> None:
    job = scoring_job(RUN, IMAGE, shards=1, seconds=60, token=Token(secret="vllm", key="k"), serving_baseline=None, cases="{}", containers=[OWN])
    pod = job["spec"]["template"]["spec"]
    (own,) = pod["initContainers"]
    assert (own["image"], own["args"], own["env"]) == (OWN.image, ["--strict"], [{"name": "PORT", "value": "8101"}])
    assert own["restartPolicy"] == "Always", "it would have to end before anything is scored"
    assert own["resources"]["limits"] == {"memory": "256Mi"}
    assert own["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    (mount,) = own["volumeMounts"]
    assert {"name": mount["name"], "emptyDir": {"sizeLimit": "64Mi"}} in pod["volumes"]
    assert mount["name"] not in {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    assert pod["securityContext"]["runAsNonRoot"] is True


def test_scorers_reach_the_pods_of_a_judge_and_have_its_token() -> None:
    scorers, models = network_policies(RUN, IMAGE, port=8080, serving_baseline=None, judges=[JUDGE])
    judge = {"to": [{"podSelector": {"matchLabels": {"sluice.dev/release": "judge-1"}}}], "ports": [{"protocol": "TCP", "port": 9000}]}
    assert scorers["spec"]["egress"][1:] == [judge]
    assert "judge-1" not in str(models)
    asked_at = (("helpful", ("http://10.0.0.3:9000",)),)
    job = scoring_job(RUN, IMAGE, shards=1, seconds=60, token=None, serving_baseline="b", cases="{}", judges=[JUDGE], asked_at=asked_at)
    arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
    flag = arguments.index("--judge-token-file")
    assert arguments[flag + 1 : flag + 3] == ["helpful", "/etc/sluice-secret/judge-0/token"]
    assert judges_of(job) == asked_at
    assert judges_of({"metadata": {"annotations": {"sluice.dev/judges": "["}}}) == ()


def test_scorers_keep_every_answer_where_the_installation_wants_it() -> None:
    for keep in (None, "texts"):
        job = scoring_job(RUN, replace(IMAGE, keep=keep), shards=1, seconds=60, token=None, serving_baseline=None, cases="{}")
        arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
        assert ("--samples" in arguments) == (keep is not None)
        assert keep is None or arguments[arguments.index("--keep") + 1] == keep


def test_the_plan_cannot_be_changed_once_it_is_there() -> None:
    assert plan_map(RUN, plan="{}", cases="")["immutable"] is True


def status(*, scheduled: str = "True", reason: str = "", ready: str = "False", restarts: int = 0, **more: object) -> Object:
    conditions = [
        {"type": "PodScheduled", "status": scheduled, "reason": reason, "lastTransitionTime": "2026-11-20T12:00:00Z"},
        {"type": "ContainersReady", "status": ready},
    ]
    container = {"name": "server", "restartCount": restarts, "ready": ready == "True", "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}
    return {"metadata": {}, "status": {"conditions": conditions, "containerStatuses": [container], "podIP": "10.0.0.7", **more}}


@pytest.mark.parametrize(
    ("pod", "stand"),
    [
        (None, Stand.GONE),
        ({"metadata": {"deletionTimestamp": "2026-11-20T12:00:00Z"}}, Stand.GONE),
        ({"metadata": {}, "status": {}}, Stand.WAITING),
        (status(scheduled="False", reason="SchedulingGated"), Stand.WAITING),
        (status(scheduled="False", reason="Unschedulable"), Stand.HOMELESS),
        (status(), Stand.WAITING),
        (status(restarts=3), Stand.WAITING),
        (status(restarts=4), Stand.BROKEN),
        (status(restarts=9, ready="True"), Stand.READY),
        (status(ready="True"), Stand.READY),
        (status(ready="True", podIP=""), Stand.WAITING),
        (status(phase="Failed", reason="Evicted"), Stand.GONE),
    ],
)
def test_what_a_pod_did_is_told_apart_from_what_was_done_to_it(pod: Object | None, stand: Stand) -> None:
    assert state_of(pod, what="the Pod").stand is stand


def test_a_pod_is_late_from_the_moment_it_could_start() -> None:
    assert state_of(status(scheduled="False", reason="SchedulingGated"), what="it").since is None
    assert state_of(status(), what="it").since is not None


def test_a_pod_that_is_being_drained_is_gone_whatever_its_containers_say() -> None:
    drained = status(ready="True")
    drained["status"]["conditions"].append({"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"})
    found = state_of(drained, what="the Pod")
    assert found.stand is Stand.GONE
    assert "EvictionByEvictionAPI" in found.message


def test_the_pods_of_a_run_have_names_that_follow_from_it() -> None:
    assert [pod_name("churn-2-1", role) for role in (Role.CANDIDATE, Role.BASELINE)] == ["churn-2-1-candidate", "churn-2-1-baseline"]
