"""What an API server, or the way to it, can answer instead of the thing asked for.

One tree, so that a caller names the cases it has an answer for and lets the others rise.
"""

from __future__ import annotations

from typing import Final

_MESSAGE_LIMIT: Final = 2000


class ApiError(Exception):
    """A request that did not do what was asked.

    `status` is the HTTP status, 0 when there was no answer; `reason` is Kubernetes' CamelCase code; `message` is for people.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        self.status = status
        self.reason = reason
        self.message = message if len(message) <= _MESSAGE_LIMIT else f"{message[:_MESSAGE_LIMIT]}…"
        super().__init__(f"{self.message} ({self.reason}, HTTP {self.status})")


class Invalid(ApiError):
    """400, 405, 406, 413, 415, 422: the server understood, and refuses this content."""


class Forbidden(ApiError):
    """401, 403: RBAC, an admission policy or a webhook refuses, or the credentials are not accepted."""


class NotFound(ApiError):
    """404: no such object, namespace or kind."""


class Conflict(ApiError):
    """409: the name exists already (`AlreadyExists`), or somebody wrote in between (`Conflict`)."""


class DoesNotFit(Conflict):
    """A JSON Patch does not fit the object as it is: a `test` finds another value, or a path is not there. Nothing was written.

    The API server does not say which of the two.
    """


class Gone(ApiError):
    """410: the resource version or the continue token is older than what the server remembers. List again."""


class Unavailable(ApiError):
    """No usable answer in time: refused, cut off, timed out, overloaded, 5xx.

    A *write* that ends like this may or may not have happened.
    """


class WebhookSilent(Unavailable):
    """500: a webhook that somebody else registered has to be asked first, and does not answer. Nothing was written, and asking again soon does not help."""


class TooLarge(ApiError):
    """The answer is larger than this client is willing to read."""


class Malformed(ApiError):
    """The answer is not what a Kubernetes API server sends: not JSON, or not shaped like what was asked for."""


_PATCH_REFUSED: Final = "the server rejected our request due to an error in our request"
"""All that the API server (1.36) says when the operations of a JSON Patch cannot be carried out; validation errors carry details."""

_NO_WEBHOOK: Final = "failed calling webhook"
"""What the API server (1.36) says of one that fails closed, is asked and gives no answer; it is an internal error, as any."""

_BY_STATUS: Final[dict[int, type[ApiError]]] = {
    400: Invalid,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    405: Invalid,
    406: Invalid,
    409: Conflict,
    410: Gone,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    429: Unavailable,
}


def error_from(status: int, body: object) -> ApiError:
    """Make the error for an HTTP status and its body: a Kubernetes `Status` if the server sent one, anything else if a proxy did."""
    fields = body if isinstance(body, dict) and body.get("kind") == "Status" else {}
    reason = str(fields.get("reason") or "NoReason")
    message = str(fields.get("message") or "the answer carries no explanation")
    kind = _BY_STATUS.get(status, Unavailable if status >= 500 else ApiError)  # noqa: PLR2004 - server errors, RFC 9110 section 15.6
    if status == 422 and message == _PATCH_REFUSED and not fields.get("details"):  # noqa: PLR2004 - of its kind, the only one without details
        kind, message = DoesNotFit, "the JSON Patch does not fit the object as it is now"
    if status == 500 and _NO_WEBHOOK in message:  # noqa: PLR2004 - of its kind, too
        kind = WebhookSilent
    return kind(status, reason, message)
