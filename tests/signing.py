"""One private Sigstore and a set of plain keys for all tests of a process, and a bundle to take apart."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from e2e.sigstore import PrivateSigstore, model_signature_statement
from e2e.sigstore.entries import PlainKey
from sluice.provenance.bundle import verify_bundle
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.trust import TrustAnchors

Json = Any
"""Parsed JSON that a test takes apart."""

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LOGGED = NOW + timedelta(seconds=5)
TRAINER = "https://git.example.com/payments/churn/.ci/train.yml@refs/heads/main"
ISSUER = "https://token.ci.example.com"
FILES = {"config.json": b"{}", "weights/model.bin": b"\x00\x01"}


@cache
def sigstore() -> PrivateSigstore:
    return PrivateSigstore.create(now=NOW)


@cache
def anchors() -> TrustAnchors:
    return TrustAnchors.sigstore("ci", sigstore().trusted_root_json)


@cache
def bundle(rekor: int = 1) -> bytes:
    """A good bundle over a model signature."""
    return sign(model_signature_statement(FILES), rekor=rekor)


def sign(statement: dict[str, Json] | bytes, *, rekor: int = 1, **how: Json) -> bytes:
    """Sign as the trainer would, at `NOW`; `how` overrides any argument of `PrivateSigstore.sign_statement`."""
    arguments: dict[str, Json] = {"identity": TRAINER, "issuer": ISSUER, "when": NOW, "rekor": rekor} | how
    return sigstore().sign_statement(statement, **arguments)


@cache
def plain_keys() -> dict[str, PlainKey]:
    return {
        "p256": ec.generate_private_key(ec.SECP256R1()),
        "p384": ec.generate_private_key(ec.SECP384R1()),
        "p521": ec.generate_private_key(ec.SECP521R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
        "rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    }


def public_pem(key: Json) -> str:
    pem: bytes = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()


@cache
def key_anchors() -> TrustAnchors:
    return TrustAnchors.keys("release-keys", {name: public_pem(key) for name, key in plain_keys().items()})


def edited(raw: bytes | str, edit: Callable[[Json], object]) -> bytes:
    """`raw` JSON after `edit` changed it in place."""
    document = json.loads(raw)
    edit(document)
    return json.dumps(document).encode()


def flipped(text: str, at: int = 0) -> str:
    """Base64 of the same bytes with one bit changed."""
    content = bytearray(base64.b64decode(text))
    content[at] ^= 1
    return base64.b64encode(bytes(content)).decode()


def refusal(raw: bytes, trust: TrustAnchors | None = None) -> Reason:
    """Why `raw` is not believed; fails when it is."""
    return error_of(lambda: verify_bundle(raw, trust or anchors())).reason


def error_of(act: Callable[[], object]) -> ProvenanceError:
    with pytest.raises(ProvenanceError) as caught:
        act()
    assert str(caught.value), "an error that says nothing helps nobody"
    return caught.value
