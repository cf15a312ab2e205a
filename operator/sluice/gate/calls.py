"""When the API server asks the webhook.

Being asked costs more than deciding, so the API server asks only about what concerns us: `matchConditions` stand for that. They see what L0 has just done:
admission policies run before mutating webhooks. Nothing here is a boundary; whatever the webhook is not asked about is held by L0 all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sluice.api.names import HELD_ANNOTATION, SCHEDULING_GATE, WEBHOOK
from sluice.gate.policy import CREATE, UPDATE, Installation, Manifest, Matches, governed, named, release_named_by

MUTATE: Final = "/mutate"
VALIDATE: Final = "/validate"
TIMEOUT_SECONDS: Final = 5

_CREATE_UPDATE: Final = (*CREATE, *UPDATE)


def _concerns_us(template: str) -> str:
    """CEL: a Pod names a release, or names an image by digest, by which it could be a known model."""
    return f"""\
{release_named_by(template)} != ''
  || {template}.spec.containers.exists(c, c.?image.orValue('').contains('@sha256:'))
  || {template}.spec.?initContainers.orValue([]).exists(c, c.?image.orValue('').contains('@sha256:'))
  || {template}.spec.?volumes.orValue([]).exists(v, v.?image.?reference.orValue('').contains('@sha256:'))"""


# Objects that another object made are judged there and at their Pods; a warning about them reaches nobody.
_WRITTEN_BY_SOMEBODY: Final = "!object.metadata.?ownerReferences.orValue([]).exists(o, o.?controller.orValue(false))"


def mutating_calls(installation: Installation) -> Manifest:
    """Ask about held Pods and held Deployments: those whose release is entitled lose the hold in the same request.

    `Ignore`, because without an answer L0's hold simply stays; the controller lifts it later.
    """
    gated = f"object.spec.?schedulingGates.orValue([]).exists(g, g.name == '{SCHEDULING_GATE}')"
    held = f"object.metadata.?annotations['{HELD_ANNOTATION}'].orValue('') != ''"
    pods = Matches(group="", version="v1", resources=["pods"], operations=CREATE, namespaces=governed(installation))
    deployments = Matches(group="apps", version="v1", resources=["deployments"], operations=_CREATE_UPDATE, namespaces=governed(installation))
    more = {"failurePolicy": "Ignore", "reinvocationPolicy": "Never"}
    return _configuration(
        "MutatingWebhookConfiguration",
        [
            _call("lift-pods.sluice.dev", MUTATE, installation, pods, {"held": gated}) | more,
            _call("resume-deployments.sluice.dev", MUTATE, installation, deployments, {"held": held}) | more,
        ],
    )


def validating_calls(installation: Installation, *, failure_policy: str) -> Manifest:
    """Ask about Pods that could be models, and about owners, for warnings that reach the person who applied them.

    `failure_policy` is for Pods; a missing warning stops nobody.
    """
    owners = {
        "apps": ("apps", ["deployments", "statefulsets", "replicasets", "daemonsets"], "object.spec.template"),
        "jobs": ("batch", ["jobs"], "object.spec.template"),
        "cronjobs": ("batch", ["cronjobs"], "object.spec.jobTemplate.spec.template"),
    }
    pods = Matches(group="", version="v1", resources=["pods"], operations=CREATE, namespaces=governed(installation))
    debugging = Matches(group="", version="v1", resources=["pods/ephemeralcontainers"], operations=UPDATE, namespaces=governed(installation))
    calls = [
        _call("pods.sluice.dev", VALIDATE, installation, pods, {"could-be-a-model": _concerns_us("object")}) | {"failurePolicy": failure_policy},
        _call("debugging-containers.sluice.dev", VALIDATE, installation, debugging, {}) | {"failurePolicy": failure_policy},
    ]
    for name, (group, resources, template) in owners.items():
        matches = Matches(group=group, version="v1", resources=resources, operations=_CREATE_UPDATE, namespaces=governed(installation))
        conditions = {"could-be-a-model": _concerns_us(template), "written-by-somebody": _WRITTEN_BY_SOMEBODY}
        calls.append(_call(f"{name}.sluice.dev", VALIDATE, installation, matches, conditions) | {"failurePolicy": "Ignore"})
    return _configuration("ValidatingWebhookConfiguration", calls)


def _call(name: str, path: str, installation: Installation, matches: Matches, conditions: Mapping[str, str]) -> Manifest:
    parts = matches.manifest()
    call = {
        "name": name,
        # The webhook writes its CA into caBundle itself.
        "clientConfig": {"service": {"namespace": installation.namespace, "name": WEBHOOK, "port": 443, "path": path}},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "timeoutSeconds": TIMEOUT_SECONDS,
        "matchPolicy": parts["matchPolicy"],
        "namespaceSelector": parts["namespaceSelector"],
        "rules": parts["resourceRules"],
    }
    return call | ({"matchConditions": named(conditions)} if conditions else {})


def _configuration(kind: str, calls: Sequence[Manifest]) -> Manifest:
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": WEBHOOK}, "webhooks": list(calls)}
