"""Keyless signatures: Fulcio certifies a key of this process for whoever the identity token names, a log keeps the signature, a timestamp authority dates it.

sigstore-python speaks to the services. Its answers are believed as much as a stranger's: what comes out is verified by our own verifier, against the trusted
root of the instance, before anybody gets to see it. The library waits for Fulcio and the log without end; here all of it has one deadline.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Final

from sigstore.dsse import Statement
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext

from sluice.cli.identity_token import TokenSource
from sluice.cli.signer import Signed
from sluice.cli.sigstore_instance import Instance
from sluice.cli.verify import CannotTell
from sluice.provenance.bundle import verify_bundle
from sluice.provenance.errors import ProvenanceError, quoted
from sluice.provenance.model_verification import BUNDLE_BYTES

DEADLINE_SECONDS: Final = 90.0
"""For certificate, timestamps and log entry together. A log answers when the entry is in its tree; some take tens of seconds for that."""


class KeylessSigner:
    """Signs as whoever the tokens of a source name."""

    def __init__(self, instance: Instance, tokens: TokenSource, *, token: IdentityToken | None = None, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        """Get a token at once, so that there is one, unless `token` is the first. Raises CannotTell, OSError."""
        self._instance = instance
        self._tokens = tokens
        self._token = token or tokens.obtain()
        self._deadline_seconds = deadline_seconds

    def sign(self, statement: bytes) -> Signed:
        """A bundle (version 0.3) of the in-toto statement `statement`. Raises CannotTell, OSError; what a log has taken in by then stays there."""
        if not self._token.in_validity_period():
            # Hashing a large model takes longer than a token lives.
            self._token = self._tokens.obtain()
        with _warnings() as warned:
            raw = self._in_time(statement, warned)
        self._check_timestamps(raw, warned)
        try:
            envelope = verify_bundle(raw, self._instance.anchors, limit=BUNDLE_BYTES)
        except ProvenanceError as error:
            raise CannotTell(
                f"what was signed does not verify by the trusted root of {self._instance.name}, and was not kept: {error} ({error.reason})"
            ) from error
        signer = envelope.signer
        return Signed(
            bundle=raw,
            signer={
                "identity": signer.identity,
                "issuer": signer.issuer,
                "keyFingerprint": signer.key_fingerprint,
                "signedAt": envelope.signed_at.isoformat() if envelope.signed_at else None,
            },
        )

    def _in_time(self, statement: bytes, warned: list[str]) -> bytes:
        """Sign in a thread that may be left behind: nothing else ends a read of the library."""
        made: Future[bytes] = Future()

        def act() -> None:
            try:
                context = SigningContext.from_trust_config(self._instance.config)
                with context.signer(self._token) as signer:
                    made.set_result(signer.sign_dsse(Statement(statement)).to_json().encode())
            except Exception as error:  # noqa: BLE001 - it is raised again where it is waited for
                made.set_exception(error)

        threading.Thread(target=act, name="keyless", daemon=True).start()
        try:
            return made.result(self._deadline_seconds)
        except Exception as error:  # noqa: BLE001 - whatever the library lets through, out of its libraries too
            late = f"{self._instance.name} did not sign within {self._deadline_seconds:g} seconds"
            # Without the library's error: a traceback shows no token.
            raise CannotTell(self._explained(error, warned) if made.done() else late) from None

    def _explained(self, error: Exception, warned: list[str]) -> str:
        """Who could not be reached, or what it answered; else what the library says, and warned of before."""
        causes = list(_causes(error))
        for cause in causes:
            response, request = getattr(cause, "response", None), getattr(cause, "request", None)
            if response is not None:
                return f"{self._instance.named(response.url)} refuses: {response.status_code} {self._said(_message(response.text))}".rstrip()
            if request is not None:
                return f"{self._instance.named(request.url)} cannot be reached: {self._said(str(causes[-1]))}"
        return "; ".join(map(self._said, (*warned, str(error) or type(error).__name__)))

    def _said(self, text: str) -> str:
        """What others say, in one bounded line. A service may repeat what it was sent, so the token is taken out while it is still whole."""
        return quoted(Exception(text.replace(str(self._token), "<identity token>"))) if text else ""

    def _check_timestamps(self, raw: bytes, warned: list[str]) -> None:
        """The library leaves out timestamps that it does not get, with a warning; who asked for them wants them."""
        material = json.loads(raw)["verificationMaterial"]
        got = len((material.get("timestampVerificationData") or {}).get("rfc3161Timestamps") or ())
        if got < self._instance.timestamps:
            why = "; ".join(map(self._said, warned)) or "no reason is known"
            raise CannotTell(f"{got} of {self._instance.timestamps} timestamps: {why}")


def _message(text: str) -> str:
    """What a service says of its refusal: the `message` of a gRPC gateway, else all of the text."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return text
    said = document.get("message") if isinstance(document, dict) else None
    return said if isinstance(said, str) else text


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from, the deepest last."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collect what the library warns of, instead of printing it."""
    lines: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger, collector = logging.getLogger("sigstore"), Collector(logging.WARNING)
    logger.addHandler(collector)
    try:
        yield lines
    finally:
        logger.removeHandler(collector)
