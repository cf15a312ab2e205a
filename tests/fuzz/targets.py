"""What is fuzzed: each target takes any bytes and returns, or raises the one error that it promises. Anything else is a finding."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from cryptography.hazmat.primitives import serialization

from e2e.sigstore import model_signature_statement, sign_with_key, slsa_statement
from e2e.sigstore.authority import Authority
from sluice.decision.world import World
from sluice.evidence.claims import read_claims
from sluice.evidence.facts import establish
from sluice.provenance.errors import ProvenanceError
from sluice.provenance.statement import STATEMENT_TYPE
from sluice.provenance.trust import TrustAnchors
from tests.fuzz import inside, reported
from tests.signing import FILES, anchors, bundle, key_anchors, plain_keys, public_pem, sigstore
from tests.unit.evidence import made

CORPUS = Path(__file__).with_name("corpus")
RAW_FILES = Path(__file__).parents[1] / "unit" / "evidence" / "files"
Target = Callable[[bytes], None]
_DIGEST = "sha256:" + "a" * 64


def _bundle(raw: bytes) -> None:
    for trust in (anchors(), key_anchors()):
        _refused(lambda trust=trust: establish(raw, {}, trust))  # type: ignore[misc]


def _statement(raw: bytes) -> None:
    """A signer who is trusted signs anything at all."""
    signed = sign_with_key(raw, plain_keys()["ed25519"], "ed25519")
    _refused(lambda: establish(signed, {}, key_anchors()))


def _trusted_root(raw: bytes) -> None:
    _refused(lambda: TrustAnchors.sigstore("fuzz", raw.decode(errors="replace")))


def _pem(raw: bytes) -> None:
    text = raw.decode(errors="replace")
    _refused(lambda: TrustAnchors.keys("fuzz", {"key": text}))
    _refused(lambda: TrustAnchors.certificates("fuzz", text, undated=True))
    _refused(lambda: TrustAnchors.certificates("fuzz", _pem_of(sigstore().root), timestamp_pem=text))


def _pem_of(*authorities: Authority) -> str:
    return "".join(each.certificate.public_bytes(serialization.Encoding.PEM).decode() for each in authorities)


def _claims(raw: bytes) -> None:
    read_claims(raw)


def _objects(raw: bytes) -> None:
    """The world takes in any object of any kind, whatever the API server let through."""
    try:
        spec = json.loads(raw)
    except (ValueError, RecursionError):
        return
    world = World()
    for kind in world.kinds:
        # What grants something has other fields beside the metadata.
        world.put(kind, {"kind": kind, "metadata": {"name": "x", "namespace": "y"}, "spec": spec, "rules": spec, "roleRef": spec, "subjects": spec})


def _refused(act: Callable[[], object]) -> None:
    try:
        act()
    except ProvenanceError:
        return


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "bundle": _bundle, "claims": _claims, "objects": _objects, "pem": _pem, "statement": _statement, "trusted-root": _trusted_root,
    }
    | dict(inside.TARGETS)
    | dict(reported.TARGETS)
)  # fmt: skip


def seeds(name: str) -> Iterator[bytes]:
    """Good inputs to begin with, and what was found before."""
    for path in sorted((CORPUS / name).glob("*")):
        yield path.read_bytes()
    described = [
        {"_type": STATEMENT_TYPE, "subject": [{"name": "x", "digest": {"sha256": "a" * 64}}], "predicateType": kind, "predicate": predicate}
        for kind, predicate in (
            ("https://cyclonedx.org/bom", made.cyclonedx()),
            ("https://spdx.dev/Document/v3", made.spdx()),
            (made.DATASET_TYPE, made.dataset()),
        )
    ]
    signed = (model_signature_statement(FILES), slsa_statement({"image": _DIGEST}, "https://b", [("d", _DIGEST)]), *described)
    statements = [json.dumps(one).encode() for one in signed]
    match name:
        case "bundle" | "claims":
            yield from (bundle(), bundle(2), sign_with_key(statements[0], plain_keys()["p256"], "p256"))
        case "statement":
            yield from statements
        case "trusted-root":
            yield sigstore().trusted_root_json.encode()
        case "pem":
            yield from (public_pem(plain_keys()[kind]).encode() for kind in ("p256", "rsa"))
            yield _pem_of(sigstore().root, sigstore().intermediate).encode()
            yield _pem_of(sigstore().timestamp_root, sigstore().timestamping).encode()
        case "objects":
            return  # what is kept in the corpus
        case "raw-results":
            yield from (path.read_bytes() for path in sorted(RAW_FILES.glob("*.*")) if path.suffix in {".eval", ".json"})
        case _:
            yield from inside.seeds(name)
