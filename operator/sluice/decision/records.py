"""Trust roots and evidence as `World` remembers them: parsed once, verified once against each trust root."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sluice.api.evidence import EvidenceSpec
from sluice.api.trust import TrustRootSpec
from sluice.decision.model import Refusal
from sluice.decision.reading import Unreadable, read
from sluice.decision.revocations import Revocations
from sluice.evidence.claims import Claims, read_claims
from sluice.evidence.facts import Fact, establish
from sluice.provenance.errors import ProvenanceError
from sluice.provenance.trust import TrustAnchors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


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
    by_trust: Mapping[str, Fact | ProvenanceError]
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
        """Why it proves nothing; None when it does."""
        if self.facts:
            return None
        reason, message = self.problem or self._refused()
        return Refusal(source=self.key.name, claims=self.claims, reason=reason, message=message)

    @property
    def speaks_of(self) -> frozenset[str]:
        """Digests of releases that this may concern."""
        return self.claims.subjects.union(*(fact.subjects for fact in self.facts))

    def _refused(self) -> tuple[str, str]:
        errors = [error for error in self.by_trust.values() if isinstance(error, ProvenanceError)]
        if not errors:
            return "TrustRootMissing", "there is no usable TrustRoot to verify it with"
        # Of several trust roots, the one that got furthest explains best: "key unknown" only says that it was the wrong one.
        best = min(errors, key=lambda error: (error.reason in _WRONG_TRUST_ROOT, str(error)))
        return str(best.reason), str(best)

    @classmethod
    def of(cls, key: Key, spec: EvidenceSpec | str, trust_roots: Iterable[TrustRoot]) -> Evidence:
        """Decode and verify; `spec` is a text when even the object could not be read."""
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
        return cls(key=key, bundle=bundle, attachments=attachments, claims=claims, by_trust={}).against(trust_roots)

    def against(self, trust_roots: Iterable[TrustRoot]) -> Evidence:
        """Verify against these trust roots, and against none that it was verified against before."""
        if self.problem:
            return self
        known = {root.digest: root.anchors for root in trust_roots if root.anchors}
        by_trust = {digest: self.by_trust.get(digest) or self._established(anchors) for digest, anchors in known.items()}
        return replace(self, by_trust=by_trust)

    def _established(self, anchors: TrustAnchors) -> Fact | ProvenanceError:
        try:
            return establish(self.bundle, self.attachments, anchors)
        except ProvenanceError as error:
            return error


_ELSEWHERE = "BundleElsewhere"
_WRONG_TRUST_ROOT = frozenset({"KeyUnknown", "CertificateUntrusted", "BundleMalformed"})


def _decoded(field: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        message = f"{field} is not base64: {error}; encode the file with `base64 -w0`"
        raise ValueError(message) from error
