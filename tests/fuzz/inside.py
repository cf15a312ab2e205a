"""What stands inside of a bundle as base64 or text, fuzzed without the wrapping: a change of a bundle's bytes would seldom get that far."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from types import MappingProxyType

from cryptography.hazmat.primitives import serialization
from cryptography.x509 import load_der_x509_certificate

from e2e.sigstore import model_signature_statement, sign_with_key
from sluice.evidence.documents import REFERENCE
from sluice.evidence.facts import establish
from sluice.evidence.model_pack import carriers
from sluice.provenance.bundle import verify_bundle
from sluice.provenance.certificate_chain import check_code_signing
from sluice.provenance.checkpoint import Checkpoint
from sluice.provenance.digests import sha256_of
from sluice.provenance.envelope import UnverifiedBundle, read_bundle
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.log_body import Signatory, check_about
from sluice.provenance.log_entry import LogEntry, verify_log_entry
from sluice.provenance.model_signature import ModelManifest, parse_model_manifest
from sluice.provenance.signed_content import SignedContent
from sluice.provenance.sigstore_root import SigstoreRoot
from sluice.provenance.statement import parse_statement
from sluice.provenance.strict_json import parse_object
from sluice.provenance.timestamp import TimestampAuthority, verify_timestamps
from sluice.provenance.trust import TrustAnchors
from tests.bundles import KINDS, Kind, make
from tests.signing import FILES, anchors, edited, key_anchors, plain_keys, sigstore
from tests.unit.evidence import made

_CERTIFIED = tuple(kind for kind in KINDS if not kind.keyed and not kind.message)
_LOGGED, _STAMPED = _CERTIFIED[0], _CERTIFIED[3]


@cache
def _read(kind: Kind) -> UnverifiedBundle:
    return read_bundle(make(kind))


@cache
def _logs() -> SigstoreRoot:
    return SigstoreRoot(sigstore().trusted_root_json)


@cache
def _private() -> TrustAnchors:
    """The issuer of the private Sigstore as a company's root: no log and no time is asked for."""
    return TrustAnchors.certificates("fuzz", sigstore().intermediate.certificate.public_bytes(serialization.Encoding.PEM).decode(), undated=True)


@cache
def _authorities() -> tuple[TimestampAuthority, ...]:
    return (*_logs().timestamp_authorities, TimestampAuthority.of_root(sigstore().timestamp_root.certificate))


def certificate(raw: bytes) -> None:
    """Any bytes as a signing certificate."""
    for kind, trust in ((_STAMPED, anchors()), (_LOGGED, _private())):
        rewritten = edited(make(kind), lambda d: d["verificationMaterial"]["certificate"].update(rawBytes=base64.b64encode(raw).decode()))
        with suppress(ProvenanceError):
            verify_bundle(rewritten, trust)


def timestamp(raw: bytes) -> None:
    """Any bytes as a timestamp."""
    with suppress(ProvenanceError):
        verify_timestamps([raw], _read(_STAMPED).signature, _authorities())


def log_entry(raw: bytes) -> None:
    """Any JSON as an entry of a log."""
    with suppress(ProvenanceError):
        entry = parse_object(raw, what="the entry", limit=1 << 20, reason=Reason.LogEntryInvalid)
        for needed in (True, False):
            with suppress(ProvenanceError):
                verify_log_entry(entry, _logs().logs, proof_needed=needed)


def log_body(raw: bytes) -> None:
    """Any bytes as what a log recorded."""
    for kind in _CERTIFIED[:5]:
        bundle = _read(kind)
        with closed(Reason.BundleMalformed, "the seed does not parse"):
            signed = SignedContent.of_envelope(bundle)
        name, version = kind.entries[0].split()
        entry = LogEntry(keys=_logs().logs[:1], index=0, kind=name, version=version, body=raw, integrated_at=None)
        with suppress(ProvenanceError):
            check_about(entry, signed, _signatory(kind))


@cache
def _signatory(kind: Kind) -> Signatory:
    der = _read(kind).certificates[0]
    return Signatory(key=check_code_signing(load_der_x509_certificate(der)), certificate=der)


def checkpoint(raw: bytes) -> None:
    """Any text as what a log says of its tree."""
    with suppress(ProvenanceError):
        read = Checkpoint.parse(raw.decode(errors="replace"))
        for log in _logs().logs:
            with suppress(ProvenanceError):
                read.check_signed(log)


def document(raw: bytes) -> None:
    """A signer who is trusted names any file at all as a description of models or data."""
    named = {"references": [{"name": "a", "digest": {"sha256": sha256_of(raw).removeprefix("sha256:")}}]}
    statement = {"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": "a" * 64}}], "predicateType": REFERENCE, "predicate": named}
    with suppress(ProvenanceError):
        establish(sign_with_key(statement, plain_keys()["ed25519"], "ed25519"), {"a": raw}, key_anchors())


@cache
def _model() -> ModelManifest:
    return parse_model_manifest(parse_statement(json.dumps(model_signature_statement(FILES)).encode()))


def model_pack(raw: bytes) -> None:
    """Any file beside a model signature as the manifest that carries the model."""
    with suppress(ProvenanceError):
        carriers(_model(), {"manifest.json": raw})


TARGETS: Mapping[str, Callable[[bytes], None]] = MappingProxyType(
    {
        "certificate": certificate, "checkpoint": checkpoint, "document": document, "log-body": log_body, "log-entry": log_entry,
        "model-pack": model_pack, "timestamp": timestamp,
    }
)  # fmt: skip


def seeds(name: str) -> Iterator[bytes]:
    """Good inputs of one target."""
    match name:
        case "certificate":
            yield from (_read(kind).certificates[0] for kind in (_LOGGED, _STAMPED))
            yield sigstore().intermediate.certificate.public_bytes(serialization.Encoding.DER)
        case "timestamp":
            yield from _read(_STAMPED).timestamps
        case "log-entry":
            yield from (json.dumps(_read(kind).log_entries[0]).encode() for kind in _CERTIFIED)
        case "log-body":
            yield from (base64.b64decode(str(_read(kind).log_entries[0]["canonicalizedBody"])) for kind in _CERTIFIED[:5])
        case "checkpoint":
            for kind in _CERTIFIED[:4]:
                yield json.loads(make(kind))["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]["checkpoint"]["envelope"].encode()
        case "document":
            yield from (json.dumps(each).encode() for each in (made.croissant(), made.cyclonedx(), made.spdx()))
        case "model-pack":
            yield json.dumps(made.modelpack(FILES)).encode()
        case _:
            return
