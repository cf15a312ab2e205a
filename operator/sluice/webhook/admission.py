"""From the bytes of a request to the bytes of its answer. Pure; the server around it only moves bytes.

Which function decides about what stands in `JUDGES`. What is not there is denied; so is whatever cannot be read. When a judge fails, its Pod is denied, its
owner is held, and its policy goes in: releases wait for a policy that cannot be used, and the controller says why.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sluice.decision.gate import Action, Decision
from sluice.decision.pod import PodMalformedError
from sluice.decision.reasons import Reason
from sluice.webhook import owners, pods, policies
from sluice.webhook.review import Answer, Request, ReviewMalformedError, read, respond
from sluice.webhook.sight import Sight

log = logging.getLogger(__name__)

Judge = Callable[[Request, Sight], Answer]


class Path(StrEnum):
    """Where the API server sends reviews to. There is no other path."""

    MUTATE = "/mutate"
    VALIDATE = "/validate"


PODS = "v1/pods"
_POD_SUBRESOURCES = ("v1/pods/ephemeralcontainers", "v1/pods/resize")

JUDGES: Mapping[Path, Mapping[str, Judge]] = {
    Path.MUTATE: {PODS: pods.mutate, "apps/v1/deployments": owners.mutate},
    Path.VALIDATE: {
        **dict.fromkeys((PODS, *_POD_SUBRESOURCES), pods.validate),
        **dict.fromkeys(owners.TEMPLATES, owners.validate),
        policies.POLICIES: policies.validate,
    },
}
_GOES_IN = (*owners.TEMPLATES, policies.POLICIES)
"""What a failed check does not keep out: something else does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The bytes to send, and what they say, for logs and metrics."""

    body: bytes
    action: Action
    reason: Reason


def review(path: Path, body: bytes, sight: Sight) -> Reply:
    """Answer one AdmissionReview. Raises nothing."""
    try:
        request = read(body)
    except ReviewMalformedError as error:
        answer, uid = _cannot(Action.DENY, Reason.ObjectInvalid, str(error)), error.uid
    else:
        answer, uid = _answer(path, request, sight), request.uid
    return Reply(body=respond(uid, answer), action=answer.action, reason=answer.reason)


def _answer(path: Path, request: Request, sight: Sight) -> Answer:
    judge = JUDGES[path].get(request.resource)
    if judge is None:
        return _cannot(Action.DENY, Reason.KindUnknown, f"{request.resource} is nothing that {path} decides about")
    failed = Action.HOLD if request.resource in _GOES_IN else Action.DENY
    if not request.namespace and request.resource != policies.POLICIES:
        return _cannot(failed, Reason.ObjectInvalid, "request.namespace is missing")
    try:
        answer = judge(request, sight)
    except PodMalformedError as error:
        answer = _cannot(failed, Reason.ObjectInvalid, str(error))
    except Exception:
        # The object stays out of the log: it may carry secrets.
        log.exception("the check of %s %s/%s failed (request %s)", request.resource, request.namespace, request.name, request.uid)
        answer = _cannot(failed, Reason.CheckFailed, "the check itself failed; the log of sluice-webhook says why")
    if answer.action is not Action.ALLOW:
        log.info(
            "%s %s %s/%s by %.200s: %s %s",
            request.operation, request.resource, request.namespace, request.name or "(generated name)", request.username, answer.action, answer.reason,
        )  # fmt: skip
    return answer


def _cannot(action: Action, reason: Reason, message: str) -> Answer:
    return Answer(action=action, reason=reason, lines=Decision(action=action, reason=reason, message=message).lines)
