"""The form of reviews, and that nothing is let in by a slip of form."""

import ast
import json
from pathlib import Path as FilePath
from typing import Any

import pytest

import sluice.webhook
from sluice.decision.gate import Action
from sluice.decision.reasons import Reason
from sluice.webhook.admission import Path
from sluice.webhook.review import MAX_MESSAGE_BYTES, MAX_WARNING_BYTES, MAX_WARNINGS, Answer, respond
from tests.unit.decision.case import approved_world
from tests.unit.webhook.reviews import ask, body, denied_with, pod

UID = "705ab4f5-6393-11e8-b7cc-42010a800002"


def test_there_is_one_place_that_builds_an_allowed_response() -> None:
    found = []
    for file in FilePath(sluice.webhook.__path__[0]).glob("*.py"):
        for function in ast.walk(ast.parse(file.read_text())):
            if isinstance(function, ast.FunctionDef):
                literals = [node for node in ast.walk(function) if isinstance(node, ast.Dict)]
                keys = [key.value for node in literals for key in node.keys if isinstance(key, ast.Constant)]
                values = [(k.value, v) for node in literals for k, v in zip(node.keys, node.values, strict=True) if isinstance(k, ast.Constant)]
                if "allowed" in keys and not any(k == "allowed" and isinstance(v, ast.Constant) and v.value is False for k, v in values):
                    found.append((file.name, function.name))
    assert found == [("review.py", "_let_in")]


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"null",
        b"[]",
        b"NaN",
        b"\xff\xfe",
        b"{" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}',
        b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":[]}',
        b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{}}',
        json.dumps({"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "request": {"uid": "1"}}).encode(),
    ],
)
@pytest.mark.parametrize("path", list(Path))
def test_what_is_no_review_is_denied(sent: bytes, path: Path) -> None:
    response = ask(path, approved_world(), sent)
    denied_with(response, "ObjectInvalid")
    assert response["uid"] == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"operation": "DELETE", "object": None, "oldObject": {}},
        {"operation": "CONNECT"},
        {"operation": None},
        {"object": None},
        {"object": []},
        {"operation": "UPDATE"},
        {"resource": None},
        {"resource": {"group": "", "version": "v1"}},
        {"resource": {"group": 1, "version": "v1", "resource": "pods"}},
        {"userInfo": None},
        {"namespace": ""},
        {"namespace": 5},
    ],
)
@pytest.mark.parametrize("path", list(Path))
def test_a_request_of_another_form_is_denied_under_its_own_uid(changes: dict[str, Any], path: Path) -> None:
    response = ask(path, approved_world(), body(pod(), **changes))
    denied_with(response, "ObjectInvalid")
    assert response["uid"] == UID


@pytest.mark.parametrize("resource", ["v1/secrets", "v2/pods", "v1/pods/exec", "v1/pods/status", "apps/v1beta1/deployments", "apps/v1/deployments/scale"])
@pytest.mark.parametrize("path", list(Path))
def test_a_kind_that_nobody_decides_about_is_denied(resource: str, path: Path) -> None:
    denied_with(ask(path, approved_world(), body(pod(gated=False), about=resource)), "KindUnknown")


def test_the_mutating_side_decides_about_no_other_owner_than_deployments() -> None:
    denied_with(ask(Path.MUTATE, approved_world(), body(pod(), about="apps/v1/statefulsets")), "KindUnknown")


def test_lines_that_tenants_write_neither_forge_lines_nor_grow() -> None:
    lines = ("first (NotReady)\nWarning: forged\x1b[31m", "é" * 5000, *["x"] * 100)
    warnings = json.loads(respond("1", Answer(action=Action.HOLD, reason=Reason.NotReady, lines=lines)))["response"]["warnings"]
    assert warnings[0] == "first (NotReady) Warning: forged [31m"
    assert len(warnings) == MAX_WARNINGS
    assert all(len(line.encode()) <= MAX_WARNING_BYTES for line in warnings)
    status = json.loads(respond("1", Answer(action=Action.DENY, reason=Reason.NotReady, lines=lines)))["response"]["status"]
    assert len(status["message"].encode()) <= MAX_MESSAGE_BYTES
    assert "\x1b" not in status["message"]


def test_a_denial_carries_no_patch() -> None:
    answer = Answer(action=Action.DENY, reason=Reason.NotReady, patch=({"op": "remove", "path": "/spec/schedulingGates"},))
    assert "patch" not in json.loads(respond("1", answer))["response"]
