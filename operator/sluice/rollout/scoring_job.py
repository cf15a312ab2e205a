"""What a canary run needs besides its two Pods: the plan with the cases, an Indexed Job of scorers, and who may talk to whom.

Scorers have no Kubernetes credentials and may reach the two Pods only, not even a name server. The two Pods in turn answer only scorers: whatever Service
selects the candidate, and however it treats Pods that are not ready. All of it is owned by the run, and goes with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sluice.api.names import CANARY_LABEL, CANARY_ROLE_LABEL, GROUP, RELEASE_LABEL
from sluice.cluster.client import Object
from sluice.cluster.resource import CONFIG_MAPS, JOBS, NETWORK_POLICIES
from sluice.rollout.canary_pods import Role, owned_by
from sluice.rollout.canary_state import SCORER_CONTAINER
from sluice.rollout.queueing import QUEUE_LABEL
from sluice.rollout.remote_scorers import Addresses, JudgePods, Sidecar, Token, judge_egress, noted, sidecars
from sluice.scoring.cases import StatedCases
from sluice.scoring.plan import REFUSED

STATISTICS_PORT: Final = 8090
BASELINE_ANNOTATION: Final = f"{GROUP}/baseline-pod"
"""On a Job: the Pod that serves users and is compared with, where the run has no baseline Pod of its own."""
PLAN_KEY: Final = "plan.json"
CASES_KEY: Final = "cases.jsonl"
RETRIES_PER_SHARD: Final = 6
"""A shard that dies more often is broken, not unlucky. What ends a Pod from outside (a drained node) does not count, nor does a Job that is suspended."""
_FOLDER: Final = "/etc/sluice"
_CASES_FOLDER: Final = "/etc/sluice-cases"
_SECRET_FOLDER: Final = "/etc/sluice-secret"  # noqa: S105 - a path
_NOBODY: Final = 65532
_GRACE_SECONDS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerImage:
    """What scorers run: the image of the controller itself, by digest, and where the controller is."""

    reference: str
    controller_namespace: str
    keep: str | None = None
    """What samples have of answers (`digests`, `texts`); None: there are none."""
    queue: str = ""
    """The Kueue LocalQueue that scoring Jobs wait in, in the namespace of the release; empty: they wait in none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CasesImage:
    """The image that holds the cases, by digest, where the file is in it, and what the suite says of the file."""

    reference: str
    path: str
    stated: StatedCases


def plan_map(run: Object, *, plan: str, cases: str | CasesImage) -> Object:
    """Make the ConfigMap that scorers read; it cannot be changed, only replaced, and then the plan's digest tells."""
    body = {"immutable": True, "data": {PLAN_KEY: plan} | ({CASES_KEY: cases} if isinstance(cases, str) else {})}
    return {"apiVersion": CONFIG_MAPS.api_version, "kind": CONFIG_MAPS.kind, "metadata": _metadata(run, plan_name(run)), **body}


def plan_name(run: Object) -> str:
    """Name the ConfigMap of a run."""
    return f"{run['metadata']['name']}-plan"


def job_name(run: Object) -> str:
    """Name the Job of a run, and the NetworkPolicy of its Pods."""
    return f"{run['metadata']['name']}-scorer"


def models_name(run: Object) -> str:
    """Name the NetworkPolicy of the two Pods of a run."""
    return f"{run['metadata']['name']}-models"


def scoring_job(
    run: Object,
    image: ScorerImage,
    *,
    shards: int,
    seconds: int,
    token: Token | None,
    serving_baseline: str | None,
    cases: str | CasesImage,
    containers: Sequence[Sidecar] = (),
    judges: Sequence[JudgePods] = (),
    asked_at: Addresses = (),
) -> Object:
    """Make the Job: one Pod for each shard, at most `seconds` in all. `serving_baseline` names a Pod that is compared with and is not of the run.

    `asked_at` is where the judges are asked: it is noted, so that a controller that was started anew makes the same plan.
    """
    file = f"{_FOLDER}/{CASES_KEY}" if isinstance(cases, str) else f"{_CASES_FOLDER}/{cases.path}"
    arguments = ["score", "--plan", f"{_FOLDER}/{PLAN_KEY}", "--cases", file, "--shard", "$(JOB_COMPLETION_INDEX)"]
    arguments += ["--listen", f"0.0.0.0:{STATISTICS_PORT}"]
    mounts: list[Object] = [{"name": "plan", "mountPath": _FOLDER, "readOnly": True}, {"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - of the Pod
    volumes: list[Object] = [{"name": "plan", "configMap": {"name": plan_name(run)}}, {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}}]
    if image.keep is not None:
        arguments += ["--samples", "/tmp/samples.jsonl", "--keep", image.keep]  # noqa: S108 - of the Pod
    if isinstance(cases, CasesImage):
        # The node fetches it, with the pull secrets of the namespace's own service account: neither we nor a scorer calls a registry.
        mounts.append({"name": "cases", "mountPath": _CASES_FOLDER, "readOnly": True})
        volumes.append({"name": "cases", "image": {"reference": cases.reference, "pullPolicy": "IfNotPresent"}})
    secrets = [] if token is None else [(token, "token", ["--token-file", f"{_SECRET_FOLDER}/token/token"])]
    for index, judge in enumerate(judges):
        if judge.token is not None:
            secrets.append((judge.token, f"judge-{index}", ["--judge-token-file", judge.metric, f"{_SECRET_FOLDER}/judge-{index}/token"]))
    for key, name, flags in secrets:
        arguments += flags
        mounts.append({"name": name, "mountPath": f"{_SECRET_FOLDER}/{name}", "readOnly": True})
        volumes.append({"name": name, "secret": {"secretName": key.secret, "items": [{"key": key.key, "path": "token"}]}})
    beside = sidecars(containers)
    container = {
        "name": SCORER_CONTAINER,
        "image": image.reference,
        "args": arguments,
        "ports": [{"name": "statistics", "containerPort": STATISTICS_PORT}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": mounts,
        # What it refuses it says last.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": _NOBODY, "runAsGroup": _NOBODY, "fsGroup": _NOBODY, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": beside["initContainers"],
        "containers": [container],
        "volumes": [*volumes, *beside["volumes"]],
    }  # fmt: skip
    spec = {
        "completionMode": "Indexed",
        "completions": shards,
        "parallelism": shards,
        "backoffLimitPerIndex": RETRIES_PER_SHARD,
        # Without one shard there is no look that all have finished: nothing to wait for.
        "maxFailedIndexes": 0,
        "activeDeadlineSeconds": seconds + _GRACE_SECONDS,
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                # No second attempt mends cases that do not fit their suite.
                {"action": "FailJob", "onExitCodes": {"containerName": SCORER_CONTAINER, "operator": "In", "values": [REFUSED]}},
            ]
        },
        "template": {"metadata": {"labels": _labels(run, Role.SCORER)}, "spec": pod},
    }
    queue = {QUEUE_LABEL: image.queue} if image.queue else {}
    metadata = _metadata(run, job_name(run)) | {"labels": _labels(run, Role.SCORER) | queue}
    notes = dict(noted(asked_at)) | ({BASELINE_ANNOTATION: serving_baseline} if serving_baseline is not None else {})
    if notes:
        metadata["annotations"] = notes
    return {"apiVersion": JOBS.api_version, "kind": JOBS.kind, "metadata": metadata, "spec": spec}


def network_policies(run: Object, image: ScorerImage, *, port: int, serving_baseline: str | None, judges: Sequence[JudgePods] = ()) -> Sequence[Object]:
    """Make what limits the scorers and, in the other direction, the two Pods.

    `serving_baseline` names the baseline release when its own Pods are compared with, instead of a Pod of the run.
    """
    targets = [{"podSelector": {"matchLabels": {CANARY_LABEL: run["metadata"]["name"]}}}]
    if serving_baseline is not None:
        targets.append({"podSelector": {"matchLabels": {RELEASE_LABEL: serving_baseline}}})
    roles = {"key": CANARY_ROLE_LABEL, "operator": "In", "values": [str(Role.CANDIDATE), str(Role.BASELINE)]}
    from_scorers = {"podSelector": {"matchLabels": _labels(run, Role.SCORER)}}
    answered = {
        "podSelector": {"matchLabels": {CANARY_LABEL: run["metadata"]["name"]}, "matchExpressions": [roles]},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [from_scorers], "ports": [{"protocol": "TCP", "port": port}]}],
    }
    models = [{"to": targets, "ports": [{"protocol": "TCP", "port": port}]}]
    return [scorer_policy(run, image, models=models, judges=judges), _policy(run, models_name(run), answered)]


def scorer_policy(run: Object, image: ScorerImage, *, models: Sequence[Object], judges: Sequence[JudgePods]) -> Object:
    """Make what limits the scorers: the controller alone may read them, and they reach `models` (rules for egress) and judges, and nothing else."""
    controller = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": image.controller_namespace}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "sluice", "app.kubernetes.io/component": "controller"}},
    }
    scorers = {
        "podSelector": {"matchLabels": _labels(run, Role.SCORER)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [controller], "ports": [{"protocol": "TCP", "port": STATISTICS_PORT}]}],
        "egress": [*models, *judge_egress(judges)],
    }
    return _policy(run, job_name(run), scorers)


def _policy(run: Object, name: str, spec: Object) -> Object:
    return {"apiVersion": NETWORK_POLICIES.api_version, "kind": NETWORK_POLICIES.kind, "metadata": _metadata(run, name), "spec": spec}


def _labels(run: Object, role: Role) -> Object:
    return {CANARY_LABEL: run["metadata"]["name"], CANARY_ROLE_LABEL: str(role)}


def _metadata(run: Object, name: str) -> Object:
    return {"namespace": run["metadata"]["namespace"], "name": name, "ownerReferences": [owned_by(run)]}
