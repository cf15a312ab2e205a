"""in-toto Statement v1, and v0.1, which has the same members: which digests a signed payload speaks of, and of what type the rest is.

Unknown members are ignored, as the specification asks of consumers; unknown digest algorithms are left out, so that nothing is ever matched by them. So are
subjects without a SHA-256: forges list the commit of a release beside its files.

Specification: https://github.com/in-toto/attestation/blob/v1.1.0/spec/v1/statement.md, resource_descriptor.md, digest_set.md
"""

from __future__ import annotations

from dataclasses import dataclass

from sluice.provenance.digests import HEX_DIGITS, hex_digits, is_hex_digest
from sluice.provenance.envelope import BUNDLE_LIMIT
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.strict_json import JsonObject, member, objects, optional, parse_object

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
STATEMENT_TYPES = frozenset({STATEMENT_TYPE, "https://in-toto.io/Statement/v0.1"})
SUBJECT_LIMIT = 1024
"""As many as the largest forge puts into one attestation."""
_DIGEST_LIMIT = 16
_TEXT_LIMIT = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One thing that a statement speaks of."""

    name: str
    sha256: str
    """`sha256:<hex>`; every subject has one."""
    digests: frozenset[str]
    """All digests of it that we understand, as `algorithm:hex`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A parsed statement. That its signature holds is the envelope's matter."""

    kind: str
    """`_type`: one of `STATEMENT_TYPES`."""
    predicate_type: str
    subjects: tuple[Subject, ...]
    predicate: JsonObject
    unmatched: int = 0
    """Subjects that were left out, because they have no sha256 digest."""


def parse_statement(payload: bytes, *, limit: int = BUNDLE_LIMIT) -> Statement:
    """Parse the payload of an envelope, at most `limit` bytes. Raises ProvenanceError: StatementMalformed, SubjectMissing."""
    with closed(Reason.StatementMalformed, "the statement does not parse"):
        document = parse_object(payload, what="the statement", limit=limit, reason=Reason.StatementMalformed)
        kind = member(document, "_type", str, where="statement", reason=Reason.StatementMalformed)
        if kind not in STATEMENT_TYPES:
            raise ProvenanceError(Reason.StatementMalformed, f"statement._type is {kind[:100]!r}; {STATEMENT_TYPE!r} and its v0.1 are read")
        entries = objects(
            member(document, "subject", list, where="statement", reason=Reason.SubjectMissing),
            where="statement.subject",
            reason=Reason.StatementMalformed,
            limit=SUBJECT_LIMIT,
        )
        if not entries:
            raise ProvenanceError(Reason.SubjectMissing, "statement.subject is empty: the statement speaks of nothing")
        found = [_subject(entry, where=f"statement.subject[{index}]") for index, entry in enumerate(entries)]
        subjects = tuple(subject for subject in found if subject is not None)
        if not subjects:
            raise ProvenanceError(Reason.SubjectMissing, "no entry of statement.subject has a sha256 digest: nothing could be matched with it")
        return Statement(
            kind=kind,
            predicate_type=text(document, "predicateType", where="statement", reason=Reason.StatementMalformed),
            subjects=subjects,
            unmatched=len(found) - len(subjects),
            predicate=optional(document, "predicate", dict, where="statement", reason=Reason.StatementMalformed) or {},
        )


def digests_of(descriptor: JsonObject, *, where: str, reason: Reason) -> frozenset[str]:
    """The digests of a ResourceDescriptor as `algorithm:hex`, of the algorithms we understand. Raises ProvenanceError when one of these is malformed."""
    named = optional(descriptor, "digest", dict, where=where, reason=reason) or {}
    if len(named) > _DIGEST_LIMIT:
        raise ProvenanceError(reason, f"{where}.digest has {len(named)} entries; at most {_DIGEST_LIMIT} are read")
    digests = set()
    for algorithm, value in named.items():
        if algorithm not in HEX_DIGITS:
            continue
        if not isinstance(value, str) or not is_hex_digest(algorithm, value):
            raise ProvenanceError(reason, f"{where}.digest.{algorithm} is not {hex_digits(algorithm)} lower-case hexadecimal digits")
        digests.add(f"{algorithm}:{value}")
    return frozenset(digests)


def sha256_in(digests: frozenset[str]) -> str | None:
    """The `sha256:<hex>` among `digests`."""
    return next((digest for digest in digests if digest.startswith("sha256:")), None)


def text(parent: JsonObject, key: str, *, where: str, reason: Reason) -> str:
    """A non-empty string of bounded length without control characters, to be shown to people and compared with policy."""
    value = member(parent, key, str, where=where, reason=reason)
    if not value or len(value) > _TEXT_LIMIT or not value.isprintable():
        raise ProvenanceError(reason, f"{where}.{key} is empty, longer than {_TEXT_LIMIT} characters, or holds characters that cannot be shown")
    return value


def _subject(entry: JsonObject, *, where: str) -> Subject | None:
    digests = digests_of(entry, where=where, reason=Reason.StatementMalformed)
    name = optional(entry, "name", str, where=where, reason=Reason.StatementMalformed) or ""
    if len(name) > _TEXT_LIMIT:
        raise ProvenanceError(Reason.StatementMalformed, f"{where}.name is longer than {_TEXT_LIMIT} characters")
    sha256 = sha256_in(digests)
    return None if sha256 is None else Subject(name=name, sha256=sha256, digests=digests)
