"""Trust roots and evidence as `World` remembers them: parsed once, and held against each trust root. Who verifies, and when, is not said here."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sluice.api.evidence import EvidenceSpec
from sluice.api.trust import TrustRootSpec
from sluice.decision.model import Refusal
from sluice.decision.reading import Unreadable, read
from sluice.decision.revocations import Revocations
from sluice.evidence.claims import Claims, read_claims
from sluice.evidence.fact_cache import Check, Outcome
from sluice.evidence.facts import Fact, content_digest
from sluice.evidence.signed_decision import SignedDecision
from sluice.provenance.errors import ProvenanceError
from sluice.provenance.trust import TrustAnchors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class Key(NamedTuple):
    """Namespace (empty for cluster-scoped objects) and name."""

    namespace: str
    name: str

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Key:
        """Read the key of an object."""
        metadata = item["metadata"]
        return cls(namespace=metadata.get("namespace") or "", name=metadata["name"])

    def __str__(self) -> str:
        """Write it as `namespace/name`."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRoot:
    """A `TrustRoot`, or why it cannot be used."""

    name: str
    anchors: TrustAnchors | None
    revocations: Revocations
    problem: str = ""

    @property
    def digest(self) -> str:
        """Digest of the material; empty when there is none."""
        return self.anchors.digest if self.anchors else ""

    @classmethod
    def of(cls, name: str, item: Mapping[str, Any]) -> TrustRoot:
        """Parse the trust material of a raw object. What it revokes is read for itself: it counts also where the material cannot be used."""
        revocations = Revocations.read(f"TrustRoot {name}", item, trust_root=name)
        spec = read(TrustRootSpec, item)
        if isinstance(spec, Unreadable):
            return cls(name=name, anchors=None, revocations=revocations, problem=spec)
        try:
            return cls(name=name, anchors=TrustAnchors.of_spec(name, spec), revocations=revocations)
        except ProvenanceError as error:
            return cls(name=name, anchors=None, revocations=revocations, problem=str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A `ReleaseEvidence`: the bytes, and what they prove against each trust root.

    Facts are kept by the digest of the trust root: a change of one trust root verifies again against that one only.
    """

    key: Key
    bundle: bytes
    attachments: Mapping[str, bytes]
    claims: Claims
    content: str = ""
    """`content_digest` of both."""
    by_trust: Mapping[str, Outcome]
    """What it came to, by the digest of the trust root; those that are not verified yet are not in it."""
    unverified: tuple[Check, ...] = ()
    """What has to be verified still. Until then nothing follows from it, for or against."""
    problem: tuple[str, str] | None = None

    @property
    def elsewhere(self) -> bool:
        """Whether the bundle is named by reference: then it proves nothing itself, and what was fetched for it does."""
        return self.problem is not None and self.problem[0] == _ELSEWHERE

    @property
    def facts(self) -> tuple[Fact, ...]:
        """What the bundle proves, once for each trust root that verifies it."""
        return tuple(self.by_trust[digest] for digest in sorted(self.by_trust) if isinstance(self.by_trust[digest], Fact))  # type: ignore[misc]

    @property
    def refusal(self) -> Refusal | None:
        """Why it proves nothing; None when it does, or when that is not known yet."""
        if self.facts or self.unverified:
            return None
        reason, message = self.problem or self._refused()
        return Refusal(source=self.key.name, claims=self.claims, reason=reason, message=message)

    @property
    def speaks_of(self) -> frozenset[str]:
        """Digests of releases that this may concern."""
        return self.claims.subjects.union(*(fact.speaks_of for fact in self.facts))

    @property
    def decides_on(self) -> frozenset[str]:
        """Names that signed decisions have for the releases that they are about."""
        return frozenset(fact.content.release for fact in self.facts if isinstance(fact.content, SignedDecision))

    def _refused(self) -> tuple[str, str]:
        errors = [error for error in self.by_trust.values() if isinstance(error, ProvenanceError)]
        if not errors:
            return "TrustRootMissing", "there is no usable TrustRoot to verify it with"
        # Of several trust roots, the one that got furthest explains best: "key unknown" only says that it was the wrong one.
        best = min(errors, key=lambda error: (error.reason in _WRONG_TRUST_ROOT, str(error)))
        return str(best.reason), str(best)

    @classmethod
    def of(cls, key: Key, spec: EvidenceSpec | str, trust_roots: Iterable[TrustRoot], established: Callable[[Check], Outcome | None]) -> Evidence:
        """Decode it, and ask what it comes to; `spec` is a text when even the object could not be read."""
        empty = cls(key=key, bundle=b"", attachments={}, claims=Claims(), by_trust={})
        if isinstance(spec, str):
            return replace(empty, problem=("ObjectInvalid", spec))
        try:
            if spec.bundle.inline is None:
                # The bytes come as an object of their own (controller/discovery.py), for every process alike: nobody who decides asks a registry.
                return replace(empty, problem=(_ELSEWHERE, f"spec.bundle.oci names {spec.bundle.oci}; its bytes are evidence of their own once fetched"))
            bundle = _decoded("spec.bundle.inline", spec.bundle.inline)
            attachments = {item.name: _decoded(f"spec.attachments[{item.name}].inline", item.inline) for item in spec.attachments}
        except ValueError as error:
            return replace(empty, problem=("Base64Malformed", str(error)))
        claims = read_claims(bundle)
        content = content_digest(bundle, attachments)
        return cls(key=key, bundle=bundle, attachments=attachments, claims=claims, content=content, by_trust={}).against(trust_roots, established)

    def against(self, trust_roots: Iterable[TrustRoot], established: Callable[[Check], Outcome | None]) -> Evidence:
        """Hold it against these trust roots. What it came to against one of them before is known; `established` is asked for the rest, and may not know."""
        if self.problem:
            return self
        by_trust: dict[str, Outcome] = {}
        unverified = []
        for anchors in (root.anchors for root in trust_roots if root.anchors):
            outcome = self.by_trust.get(anchors.digest)
            if outcome is None:
                check = Check.of(self.content, self.bundle, self.attachments, anchors)
                outcome = established(check)
                if outcome is None:
                    unverified.append(check)
                    continue
            by_trust[anchors.digest] = outcome
        return replace(self, by_trust=by_trust, unverified=tuple(unverified))


_ELSEWHERE = "BundleElsewhere"
_WRONG_TRUST_ROOT = frozenset({"KeyUnknown", "CertificateUntrusted", "BundleMalformed"})


def _decoded(field: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        message = f"{field} is not base64: {error}; encode the file with `base64 -w0`"
        raise ValueError(message) from error
