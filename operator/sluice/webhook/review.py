"""AdmissionReview (admission.k8s.io/v1): bytes in, a request; an answer in, bytes out.

Strict, because what is not understood is not let in: another version, a missing uid or an object that is no object is an error, never a default.
`_let_in` is the only function that builds an allowed response, and only an `Answer` that allows or holds gets there.

Bounded: the body to 7 MiB (two objects of 3 MiB, which is what the API server takes, and slack), its depth to 200 by the parser, warnings and messages here.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Final

import pydantic_core

from sluice.decision.gate import Action
from sluice.decision.reasons import Reason

MAX_BODY_BYTES: Final = 7 << 20
MAX_WARNINGS: Final = 12
MAX_WARNING_BYTES: Final = 256
"""The API server cuts a warning here and all warnings of a request at 4 KiB."""
MAX_MESSAGE_BYTES: Final = 8192
_MAX_UID: Final = 128

_VERSION: Final = "admission.k8s.io/v1"
_KIND: Final = "AdmissionReview"

Object = dict[str, Any]
Operation = dict[str, Any]
"""One operation of a JSON Patch (RFC 6902)."""


class ReviewMalformedError(ValueError):
    """The body is not the AdmissionReview that an API server sends. `uid` is the request's when it could be read."""

    def __init__(self, message: str, *, uid: str = "") -> None:
        super().__init__(message)
        self.uid = uid


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the API server asks about. `name` is empty for objects that it has not named yet (`generateName`)."""

    uid: str
    resource: str
    """As kubectl writes it, with version and subresource: `v1/pods`, `v1/pods/ephemeralcontainers`, `apps/v1/deployments`."""
    operation: str
    namespace: str
    name: str
    username: str
    object: Object
    old_object: Object | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What becomes of a request. A hold lets the object in as it is, gates and pause in place, and says in `lines` what is missing."""

    action: Action
    reason: Reason
    lines: tuple[str, ...] = ()
    patch: tuple[Operation, ...] = ()


def read(body: bytes) -> Request:
    """Read the request out of an AdmissionReview.

    Raises:
        ReviewMalformedError: a part that decides has another form than admission.k8s.io/v1 gives it.
    """
    try:
        review = pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise ReviewMalformedError(f"the body is not JSON: {error}") from None
    if not isinstance(review, dict) or review.get("apiVersion") != _VERSION or review.get("kind") != _KIND:
        raise ReviewMalformedError(f"the body is no {_KIND} of {_VERSION}")
    request = review.get("request")
    if not isinstance(request, dict):
        raise ReviewMalformedError("request is no object")
    uid = request.get("uid")
    if not isinstance(uid, str) or not 0 < len(uid) <= _MAX_UID:
        raise ReviewMalformedError("request.uid is missing")
    try:
        return _request(request, uid)
    except (KeyError, TypeError, AttributeError) as error:
        raise ReviewMalformedError(f"the request has not the form of an AdmissionRequest: {type(error).__name__}: {error}", uid=uid) from None


def _request(request: Object, uid: str) -> Request:
    resource, operation, item, old = request["resource"], request["operation"], request["object"], request.get("oldObject")
    parts = (resource["group"], resource["version"], resource["resource"], request.get("subResource") or "")
    namespace, name = request.get("namespace") or "", request.get("name") or ""
    username = request["userInfo"].get("username") or ""
    texts = (*parts, operation, namespace, name, username)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a name is no string")
    if operation not in {"CREATE", "UPDATE"}:
        raise ReviewMalformedError(f"operation {operation[:20]!r} is none that this webhook decides", uid=uid)
    if not isinstance(item, dict) or not (old is None or isinstance(old, dict)):
        raise ReviewMalformedError("request.object is no object", uid=uid)
    if operation == "UPDATE" and old is None:
        raise ReviewMalformedError("an UPDATE without request.oldObject", uid=uid)
    return Request(
        uid=uid, resource="/".join(part for part in parts if part), operation=operation, namespace=namespace, name=name, username=username,
        object=item, old_object=old,
    )  # fmt: skip


def respond(uid: str, answer: Answer) -> bytes:
    """Write the AdmissionReview that gives `answer` to the request `uid`."""
    response = _let_in(uid, answer) if answer.action in {Action.ALLOW, Action.HOLD} else _keep_out(uid, answer)
    return pydantic_core.to_json({"apiVersion": _VERSION, "kind": _KIND, "response": response})


def _let_in(uid: str, answer: Answer) -> Object:
    """Build an allowed response: the one place that does."""
    response: Object = {"uid": uid, "allowed": True}
    if answer.lines:
        response["warnings"] = [_cut(_one_line(line), MAX_WARNING_BYTES) for line in answer.lines[:MAX_WARNINGS]]
    if answer.patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(pydantic_core.to_json(answer.patch)).decode()
    return response


def _keep_out(uid: str, answer: Answer) -> Object:
    lines = answer.lines or (f"denied by sluice ({answer.reason})",)
    message = _cut("\n".join(_one_line(line) for line in lines), MAX_MESSAGE_BYTES)
    cause = {"reason": str(answer.reason), "message": _cut(_one_line(lines[0]), MAX_MESSAGE_BYTES)}
    status = {"status": "Failure", "code": 403, "reason": "Forbidden", "message": message, "details": {"causes": [cause]}}
    return {"uid": uid, "allowed": False, "status": status}


def _one_line(text: str) -> str:
    """Control characters come from objects that tenants write: they neither forge lines nor colour terminals, and the API server drops such warnings."""
    return text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)


def _cut(text: str, limit: int) -> str:
    """Cut to `limit` bytes of UTF-8, not inside a character."""
    raw = text.encode("utf-8", "replace")
    return raw.decode() if len(raw) <= limit else raw[: limit - 3].decode("utf-8", "ignore") + "…"
