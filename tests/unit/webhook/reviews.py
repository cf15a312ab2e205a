"""AdmissionReviews as an API server sends them, and what comes back."""

from __future__ import annotations

import base64
import json
from copy import deepcopy
from typing import Any

from sluice.decision.world import World
from sluice.webhook.admission import Path, review
from sluice.webhook.sight import Sight
from tests.unit.decision.case import CARRIER, NAME, NAMESPACE, NOW, SERVER, digest_of

Object = dict[str, Any]
SCHEDULING = {"name": "sluice.dev/release"}
READINESS = {"conditionType": "sluice.dev/serving"}
SERVER_IMAGE = f"registry.example.com/server@{SERVER}"
MODEL_IMAGE = f"registry.example.com/churn@{CARRIER}"
FOREIGN_IMAGES = ("nginx", f"registry.example.com/other@{digest_of('other')}", f"registry.example.com/churn:latest@{CARRIER.upper()}", "")


def pod(*, release: str | None = NAME, gated: bool = True, **spec: object) -> Object:
    """A Pod of the release as L0 leaves it; `spec` replaces fields."""
    gates: Object = {"schedulingGates": [SCHEDULING], "readinessGates": [READINESS]} if gated else {}
    fields = {
        "serviceAccountName": "churn",
        "containers": [{"name": "server", "image": SERVER_IMAGE}],
        "volumes": [{"name": "model", "image": {"reference": MODEL_IMAGE}}],
    }
    labels = {"app": "churn"} | ({"sluice.dev/release": release} if release else {})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "churn-", "labels": labels}, "spec": fields | gates | spec}


def deployment(*, release: str | None = NAME, held: str | None = NAME, paused: bool = True) -> Object:
    """A Deployment as L0 leaves it."""
    template = pod(release=release, gated=False)
    del template["apiVersion"], template["kind"]
    annotations = {"note": "kept"} | ({} if held is None else {"sluice.dev/held": held})
    metadata = {"name": "churn", "namespace": NAMESPACE, "annotations": annotations}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"template": template} | ({"paused": True} if paused else {})}


def body(obj: object, *, about: str = "v1/pods", old: Object | None = None, **changes: object) -> bytes:
    """A review of `obj`, a resource written as `Request.resource` writes it; `changes` replace members of the request."""
    parts = about.split("/")
    group = parts.pop(0) if parts[0] in {"apps", "batch", "sluice.dev"} else ""
    version, plural, *sub = parts
    request = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": group, "version": version, "kind": "Whatever"},
        "resource": {"group": group, "version": version, "resource": plural},
        "namespace": NAMESPACE,
        "operation": "UPDATE" if old else "CREATE",
        "userInfo": {"username": "dev@example.com", "groups": []},
        "object": obj,
        "oldObject": old,
        "dryRun": False,
    } | ({"subResource": sub[0]} if sub else {})
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request | changes}).encode()


def ask(path: Path, world: World, request_body: bytes, *, blind: str = "") -> Object:
    """Give the response to a review."""
    reply = review(path, request_body, Sight(world=world, now=NOW, blind=blind))
    document = json.loads(reply.body)
    assert (document["apiVersion"], document["kind"], set(document)) == ("admission.k8s.io/v1", "AdmissionReview", {"apiVersion", "kind", "response"})
    response: Object = document["response"]
    return response


def patched(obj: Object, response: Object) -> Object:
    """Apply the patch of a response, as strictly as an API server: a `test` that fails is an error."""
    if "patch" not in response:
        return obj
    assert response["patchType"] == "JSONPatch"
    result = deepcopy(obj)
    for operation in json.loads(base64.b64decode(response["patch"])):
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        target: Any = result
        for part in parents:
            target = target[int(part) if isinstance(target, list) else part]
        if operation["op"] == "add":
            if isinstance(target, list):
                target.append(operation["value"])
            else:
                target[last] = operation["value"]
            continue
        place = int(last) if isinstance(target, list) else last
        if operation["op"] == "test":
            assert target[place] == operation["value"]
        else:
            assert operation["op"] == "remove"
            del target[place]
    return result


def denied_with(response: Object, reason: str) -> str:
    """Check a denial and its reason; give its message."""
    assert response["allowed"] is False
    assert (response["status"]["code"], response["status"]["reason"]) == (403, "Forbidden")
    assert response["status"]["details"]["causes"][0]["reason"] == reason
    message: str = response["status"]["message"]
    assert f"({reason})" in message
    return message


def held_with(response: Object, reason: str) -> list[str]:
    """Check that the object goes in unchanged, with a warning of this reason; give the warnings."""
    assert response["allowed"] is True
    assert "patch" not in response
    warnings: list[str] = response["warnings"]
    assert f"({reason})" in warnings[0]
    return warnings
