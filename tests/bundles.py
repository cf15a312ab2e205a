"""One bundle of every kind that is verified, made with the private Sigstore and the plain keys of `tests.signing`, and the trust that verifies it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec

from e2e.sigstore import PrivateSigstore, model_signature_statement
from e2e.sigstore.authority import issue, subject_name
from e2e.sigstore.bundles import Logged, Stamped, bundle
from e2e.sigstore.entries import IN_TOTO, EntryKind, Signature, sign, signed_bytes
from e2e.sigstore.log import TransparencyLog
from sluice.provenance.bundle import VerifiedEnvelope, VerifiedMessage, verify_bundle, verify_message
from sluice.provenance.trust import TrustAnchors
from tests.signing import FILES, ISSUER, LOGGED, NOW, TRAINER, Json, anchors, edited, plain_keys, public_pem, sigstore

ARTIFACT = b"what was signed"
KEY_NAME = "p256"
STATEMENT = json.dumps(model_signature_statement(FILES)).encode()
_OTHER = json.dumps(model_signature_statement({"config.json": b"another"})).encode()
_VERSION_2 = frozenset({"dsse 0.0.2", "hashedrekord 0.0.2"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of bundle."""

    version: str = "0.3"
    keyed: bool = False
    """Signed with a plain key, not by a certificate."""
    message: bool = False
    """Over plain bytes, not a statement."""
    entries: tuple[EntryKind, ...] = ()
    stamps: int = 0
    promise_only: bool = False
    """Without an inclusion proof, as bundles of version 0.1 may be."""

    @property
    def dated(self) -> bool:
        """Whether an authority says when."""
        return self.stamps > 0 or any(each not in _VERSION_2 for each in self.entries)

    def __str__(self) -> str:
        what = [self.version, "key" if self.keyed else "certificate", "message" if self.message else "statement", *self.entries]
        return ", ".join([*what, *["stamped"] * self.stamps, *["promise only"] * self.promise_only])

    @property
    def trust(self) -> TrustAnchors:
        """What verifies it."""
        return keyed_anchors() if self.keyed else anchors()

    def verify(self, raw: bytes) -> VerifiedEnvelope | VerifiedMessage:
        """Verify `raw` as a bundle of this kind."""
        return verify_message(raw, ARTIFACT, self.trust) if self.message else verify_bundle(raw, self.trust)


KINDS: Sequence[Kind] = (
    Kind(entries=("dsse 0.0.1",)),
    Kind(entries=("hashedrekord 0.0.1",)),
    Kind(entries=("intoto 0.0.2",)),
    Kind(entries=("hashedrekord 0.0.2",), stamps=1),
    Kind(entries=("dsse 0.0.2",), stamps=1),
    Kind(entries=("dsse 0.0.1", "hashedrekord 0.0.2"), stamps=2),
    Kind(message=True, entries=("hashedrekord 0.0.1",)),
    Kind(message=True, entries=("hashedrekord 0.0.2",), stamps=1),
    Kind(version="0.1", message=True, entries=("hashedrekord 0.0.1",), promise_only=True),
    Kind(version="0.1", entries=("intoto 0.0.2",)),
    Kind(version="0.2", entries=("dsse 0.0.1",)),
    Kind(keyed=True),
    Kind(keyed=True, message=True),
    Kind(keyed=True, entries=("dsse 0.0.1",)),
    Kind(keyed=True, entries=("intoto 0.0.2",)),
    Kind(keyed=True, message=True, entries=("hashedrekord 0.0.2",), stamps=1),
    Kind(version="0.1", keyed=True, message=True, entries=("hashedrekord 0.0.1",), promise_only=True),
)


@cache
def keyed_anchors() -> TrustAnchors:
    """Trust in one plain key, and in the logs and the timestamp authority of the private Sigstore beside it."""
    return TrustAnchors.keys("keys", {KEY_NAME: public_pem(plain_keys()[KEY_NAME])}, witnesses=sigstore().trusted_root_json)


@cache
def make(kind: Kind, *, another: bool = False) -> bytes:
    """A good bundle of `kind`, signed at `NOW` and seen at `LOGGED`; `another` is one of the same signer over another statement or by another signature."""
    logs = [sigstore().logs[2 if each in _VERSION_2 else 1] for each in kind.entries]
    # Neither the first entry of its log nor the last, so that its proof has hashes to both sides.
    _others(logs, 3)
    logged = [Logged(kind=each, log=log, when=LOGGED) for each, log in zip(kind.entries, logs, strict=True)]
    stamped = [Stamped(unit=sigstore().timestamping, when=LOGGED) for _ in range(kind.stamps)]
    raw = bundle(
        signature(keyed=kind.keyed, message=kind.message, statement=_OTHER if another else STATEMENT),
        version=kind.version,
        hint=KEY_NAME,
        logged=logged,
        stamped=stamped,
    )
    _others(logs, 2)

    def with_later_proof(document: Json) -> None:
        for entry, log in zip(document["verificationMaterial"]["tlogEntries"], logs, strict=True):
            if kind.promise_only:
                del entry["inclusionProof"]
            else:
                entry["inclusionProof"] = log.inclusion_proof(int(entry["logIndex"]))

    return edited(raw, with_later_proof)


def _others(logs: Sequence[TransparencyLog], count: int) -> None:
    for log in logs:
        for _ in range(count):
            log.append({"kind": "other", "apiVersion": "0.0.1", "spec": len(log.leaves)}, when=NOW)


def signature(*, keyed: bool, message: bool, by: PrivateSigstore | None = None, statement: bytes = STATEMENT) -> Signature:
    """A signature over the artifact or `statement`, by the plain key or with a certificate of `by` (default: the private Sigstore)."""
    content = ARTIFACT if message else signed_bytes(IN_TOTO, statement)
    instance = by or sigstore()
    key = plain_keys()[KEY_NAME] if keyed else ec.generate_private_key(ec.SECP256R1())
    certificate = None
    if isinstance(key, ec.EllipticCurvePrivateKey) and not keyed:
        certificate = issue(
            key.public_key(),
            names=[subject_name(TRAINER)],
            issuer=ISSUER,
            when=NOW,
            authority=instance.intermediate,
            transparency_key=instance.transparency_key,
        )
    return Signature(content=content, payload=None if message else statement, value=sign(key, content), key=key, certificate=certificate)


def merged_root(*instances: PrivateSigstore, operators: Sequence[str] = ()) -> str:
    """A trusted root that holds the material of all `instances`; `operators` name who runs the logs and timestamp authorities of each."""
    merged: Json = {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}
    for index, instance in enumerate(instances):
        for part, entries in json.loads(instance.trusted_root_json).items():
            if part == "mediaType":
                continue
            if operators and part in {"tlogs", "timestampAuthorities"}:
                entries = [entry | {"operator": operators[index]} for entry in entries]  # noqa: PLW2901 - the same entries, named
            merged.setdefault(part, []).extend(entries)
    return json.dumps(merged)
