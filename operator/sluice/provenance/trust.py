"""Whose signatures can be verified at all. Who may sign what is policy, and decided elsewhere.

`TrustAnchors` holds parsed material; build it once per TrustRoot object and keep it. Its digest names the trust root and its material, so that a fact that
was established under one name is never shown under another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.keys import VerificationKey
from sluice.provenance.sigstore_root import SigstoreRoot
from sluice.provenance.strict_json import canonical

KEY_LIMIT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustAnchors:
    """The material of one trust root: either a Sigstore instance or named public keys."""

    name: str
    digest: str
    """`sha256:` over the name and the canonical material; facts are cached under it."""
    root: SigstoreRoot | None = field(default=None, repr=False, compare=False)
    named_keys: Mapping[str, VerificationKey] = field(default_factory=lambda: MappingProxyType({}), repr=False, compare=False)

    @classmethod
    def sigstore(cls, name: str, text: str) -> TrustAnchors:
        """Trust in certificates of the Sigstore instance whose `trusted_root.json` is `text`. Raises ProvenanceError (TrustRootMalformed)."""
        root = SigstoreRoot(text)
        return cls(name=name, digest=sha256_of(canonical({"name": name, "sigstore": sha256_of(root.canonical)})), root=root)

    @classmethod
    def keys(cls, name: str, pems: Mapping[str, str]) -> TrustAnchors:
        """Trust in the public keys of `pems` (name to PEM). Raises ProvenanceError (TrustRootMalformed)."""
        if not 1 <= len(pems) <= KEY_LIMIT:
            raise ProvenanceError(Reason.TrustRootMalformed, f"trust root {name!r} has {len(pems)} keys; it needs 1 to {KEY_LIMIT}")
        loaded = {key_name: VerificationKey.from_pem(key_name, pem) for key_name, pem in sorted(pems.items())}
        fingerprints = {key_name: key.fingerprint for key_name, key in loaded.items()}
        if len(set(fingerprints.values())) != len(fingerprints):
            # Two names for one key would let one person count as two.
            raise ProvenanceError(Reason.TrustRootMalformed, f"trust root {name!r} has the same key under two names")
        return cls(name=name, digest=sha256_of(canonical({"name": name, "keys": fingerprints})), named_keys=MappingProxyType(loaded))
