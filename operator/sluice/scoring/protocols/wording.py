"""What a server says about its refusal, made fit for a status and a log: one line, bounded, without the token.

Limits: a server that was sent the token may say it back in a form that nobody recognises (encoded, in pieces). It has the token anyway: give a suite one that
opens nothing else.
"""

from __future__ import annotations

from typing import Final

from sluice.scoring.protocols import documents
from sluice.scoring.protocols.settings import Limits
from sluice.scoring.protocols.unanswered import Unanswered

WORDS_LENGTH: Final = 200


def in_document(raw: bytes, *, token: str | None, limits: Limits) -> str:
    """The message in an error document of OpenAI, MLServer, Triton or FastAPI, or else the text itself: `: …`, or empty when there is none."""
    try:
        value = documents.parse(raw, what="the refusal", limits=limits)
    except Unanswered:
        value = raw.decode("utf-8", "replace")
    for name in ("error", "message", "detail"):
        if isinstance(value, dict) and name in value:
            value = value[name]
    return in_text(value, token=token) if isinstance(value, str) else ""


def in_text(text: str, *, token: str | None) -> str:
    """`: …`, or empty when `text` says nothing."""
    if token:
        text = text.replace(token, "…")
    line = "".join(character if character.isprintable() else " " for character in text)
    return f": {' '.join(line.split())[:WORDS_LENGTH]}" if line.strip() else ""
