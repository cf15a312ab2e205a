"""One error tree for everything that keeps evidence from being believed.

Verification runs on bytes that strangers wrote, through libraries that raise whatever their own dependencies raise (`TypeError` and pydantic errors out of
sigstore-python among them). A caller that had to know all of that would one day forget one, so nothing but `ProvenanceError` leaves this package: see `closed`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from pydantic import ValidationError

_QUOTED_LIMIT = 300


class Reason(StrEnum):
    """Why evidence is not believed. Stable: conditions, metrics and documentation use these words."""

    BundleMalformed = "BundleMalformed"
    BundleTooLarge = "BundleTooLarge"
    SignatureInvalid = "SignatureInvalid"
    CertificateUntrusted = "CertificateUntrusted"
    IdentityMalformed = "IdentityMalformed"
    LogEntryInvalid = "LogEntryInvalid"
    TimestampMissing = "TimestampMissing"
    TimestampInvalid = "TimestampInvalid"
    TrustExpired = "TrustExpired"
    TooFewWitnesses = "TooFewWitnesses"
    KeyUnknown = "KeyUnknown"
    ArtifactMismatch = "ArtifactMismatch"
    ArtifactNeeded = "ArtifactNeeded"
    PayloadTypeUnexpected = "PayloadTypeUnexpected"
    StatementMalformed = "StatementMalformed"
    PredicateMalformed = "PredicateMalformed"
    PredicateTypeUnexpected = "PredicateTypeUnexpected"
    SubjectMissing = "SubjectMissing"
    ManifestMalformed = "ManifestMalformed"
    UncoveredFiles = "UncoveredFiles"
    FilesDiffer = "FilesDiffer"
    SignerUnexpected = "SignerUnexpected"
    SignerRevoked = "SignerRevoked"
    TrustRootMalformed = "TrustRootMalformed"
    AttachmentMissing = "AttachmentMissing"
    AttachmentMismatch = "AttachmentMismatch"
    HarnessUnknown = "HarnessUnknown"
    RawResultMalformed = "RawResultMalformed"
    RunIncomplete = "RunIncomplete"
    MeasurementAmbiguous = "MeasurementAmbiguous"


class ProvenanceError(Exception):
    """Evidence that is not believed: `reason` for machines, the message for the person who can mend it."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@contextmanager
def closed(reason: Reason, what: str) -> Iterator[None]:
    """Turn whatever the enclosed code raises into a `ProvenanceError` with `reason`.

    `PanicException` is what a Rust extension raises when it panics; it derives from `BaseException`, so it is named here. Interrupts and exits pass.
    """
    try:
        yield
    except ProvenanceError:
        raise
    except Exception as error:
        raise ProvenanceError(reason, f"{what}: {quoted(error)}") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ProvenanceError(reason, f"{what}: {quoted(error)}") from error


def quoted(error: BaseException) -> str:
    """One bounded, printable line of a library's message; the type's name when it says nothing. Of a schema's errors: the first, with its field."""
    message = str(error)
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        message = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    text = " ".join(message.split()) or type(error).__name__
    printable = "".join(character if character.isprintable() else "?" for character in text[: _QUOTED_LIMIT + 1])
    return printable if len(printable) <= _QUOTED_LIMIT else printable[:_QUOTED_LIMIT] + "…"
