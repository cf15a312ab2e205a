"""A small model on disk, a key for it, and the commands that sign and verify it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization

from sluice.cli import main
from tests.signing import FILES, plain_keys, public_pem


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A folder with a model in it and keys beside it."""

    folder: Path

    @property
    def model(self) -> Path:
        return self.folder / "churn"

    @property
    def bundle(self) -> Path:
        return self.model / "model.sig"

    def key(self, kind: str = "p256", *, password: bytes | None = None) -> Path:
        """A private key in a file."""
        cipher = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        pem = plain_keys()[kind].private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, cipher)
        path = self.folder / f"{kind}.pem"
        path.write_bytes(pem)
        return path

    def public(self, kind: str = "p256") -> Path:
        """Its public key in a file."""
        path = self.folder / f"{kind}.pub"
        path.write_text(public_pem(plain_keys()[kind]))
        return path

    def sign(self, *options: object, kind: str = "p256") -> Result:
        return run("sign", "model", self.model, "--key", self.key(kind), *options)

    def verify(self, *options: object, kind: str = "p256") -> Result:
        return run("verify", "model", self.model, "--key", self.public(kind), *options)

    def answer(self, *options: object) -> Any:  # noqa: ANN401 - parsed JSON
        return json.loads(self.verify(*options, "-o", "json").stdout)


def desk(folder: Path) -> Desk:
    """Put the model of all tests on disk."""
    for name, content in FILES.items():
        path = folder / "churn" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return Desk(folder=folder)


def run(*arguments: object, **variables: str) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments], env=variables)
