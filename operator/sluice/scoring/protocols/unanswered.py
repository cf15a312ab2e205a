"""Why there is no answer, on its way from where it was noticed to where it becomes a `NoAnswer`."""

from __future__ import annotations

from sluice.scoring.answer import Failure


class Unanswered(Exception):
    """No answer. Never leaves this package: `bounded.BoundedClient` turns it into a value."""

    def __init__(self, failure: Failure, message: str) -> None:
        super().__init__(message)
        self.failure = failure
        self.message = message


class UnsuitableCase(ValueError):
    """A case that this protocol cannot ask: a mistake in the suite, not an answer. Which case, what it has, what the protocol needs."""


def malformed(message: str) -> Unanswered:
    """What came is not what the protocol says."""
    return Unanswered(Failure.MALFORMED, message)
