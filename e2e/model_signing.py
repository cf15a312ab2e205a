"""The reference implementation as an oracle: what `sluice sign model` signs, `model_signing` verifies, and the other way round.

    python -m e2e.model_signing                     every case in both directions; ends with 1 when one comes out otherwise than it should
    python -m e2e.model_signing --record FOLDER     also keep what the reference signed: tests/unit/provenance/reference, which `make test` verifies

It runs in an environment of its own (requirements/oracle.txt), made on the first run, and takes two minutes: so `make test` has the recorded bundles instead.
Keyless, both sign with the private Sigstore on loopback (e2e/sigstore/services.py); that one is not recorded, as its trust does not outlive the run.
What the reference cannot verify is in the table too: shards as the specification names them (it writes the size into the name of the algorithm), and a model of
one file under its own name (it writes a dot).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from e2e.sigstore import PrivateSigstore
from e2e.sigstore.entries import PlainKey
from e2e.sigstore.identity_provider import IdentityProvider
from e2e.sigstore.pki import certify
from e2e.sigstore.services import PrivateServices

CHECKOUT = Path(__file__).parents[1]
ENVIRONMENT = CHECKOUT / "build" / "model-signing"
REQUIREMENTS = CHECKOUT / "requirements" / "oracle.txt"
MODEL = {"config.json": b'{"layers": 2}', "weights/a.bin": bytes(range(256)) * 20, "weights/b.bin": b"b", "read me.txt": b"hello", "ä.txt": b"", "a:0:1": b"x"}
SHARD_BYTES = 1000
TRAINER = "trainer@example.com"
START = datetime(2026, 1, 1, tzinfo=UTC)

# Their command line has no options for the digest of the files: their own interface does.
_THEIRS = """
import json, pathlib, sys
from model_signing import hashing, signing, verifying
a = json.loads(sys.argv[1])
config = hashing.Config()
if a["shards"]:
    config.use_shard_serialization(hashing_algorithm=a["algorithm"], shard_size=a["shards"])
else:
    config.use_file_serialization(hashing_algorithm=a["algorithm"])
config.set_ignored_paths(paths=[])
if a["act"] == "sign":
    made = signing.Config()
    if a["keyless"]:
        made.use_sigstore_signer(identity_token=pathlib.Path(a["token"]).read_text(), trust_config=pathlib.Path(a["config"]))
    elif a["certificate"]:
        made.use_certificate_signer(private_key=a["key"], signing_certificate=a["certificate"], certificate_chain=a["chain"])
    else:
        made.use_elliptic_key_signer(private_key=a["key"])
    made.set_hashing_config(config).sign(a["model"], a["bundle"])
else:
    made = verifying.Config()
    if a["keyless"]:
        made.use_sigstore_verifier(identity=a["identity"], oidc_issuer=a["issuer"], trust_config=pathlib.Path(a["config"]))
    elif a["certificate"]:
        made.use_certificate_verifier(certificate_chain=[a["root"]])
    else:
        made.use_elliptic_key_verifier(public_key=a["public"])
    made.set_hashing_config(config).verify(a["model"], a["bundle"])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A way to sign a model."""

    name: str
    curve: str = "p256"
    algorithm: str = "sha256"
    shards: int = 0
    certificate: bool = False
    keyless: bool = False
    one_file: bool = False
    they_verify_ours: bool = True


CASES = (
    Case(name="p256"),
    Case(name="p384", curve="p384"),
    Case(name="p521", curve="p521"),
    Case(name="blake2b", algorithm="blake2b"),
    Case(name="blake3", algorithm="blake3"),
    Case(name="shards", shards=SHARD_BYTES, they_verify_ours=False),
    Case(name="shards-blake2b", algorithm="blake2b", shards=SHARD_BYTES, they_verify_ours=False),
    Case(name="certificate", certificate=True),
    Case(name="keyless", keyless=True),
    Case(name="one-file", one_file=True, they_verify_ours=False),
)


class Desk:
    """A folder with a model, keys and certificates in it, and what is needed to sign with `services` as an identity of `provider`."""

    def __init__(self, folder: Path, services: PrivateServices, provider: IdentityProvider) -> None:
        self.folder = folder
        self.issuer = provider.url
        (folder / "token").write_text(provider.token(TRAINER))
        (folder / "config.json").write_text(services.trust_config())
        (folder / "root.json").write_text(services.trusted_root_json)
        self.keys: dict[str, PlainKey] = {
            "p256": ec.generate_private_key(ec.SECP256R1()),
            "p384": ec.generate_private_key(ec.SECP384R1()),
            "p521": ec.generate_private_key(ec.SECP521R1()),
        }
        for name, content in MODEL.items():
            path = folder / "model" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        for name, key in self.keys.items():
            private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            (folder / f"{name}.key").write_bytes(private)
            public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            (folder / f"{name}.pub").write_bytes(public)
        root_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        root = certify(root_key, "root-ca", start=START, days=7300, authority=True, purposes=(), signs=False)
        above = certify(self.keys["p384"], "intermediate-ca", start=START + timedelta(days=1), days=7000, parent=root, authority=True, purposes=(), signs=False)
        leaf = certify(self.keys["p256"], "signing-key", start=START + timedelta(days=2), days=6000, parent=above)
        for name, issued in (("root", root), ("above", above), ("leaf", leaf)):
            (folder / f"{name}.crt").write_text(issued.pem)

    def model(self, case: Case) -> Path:
        """What is signed."""
        return self.folder / "model" / "weights/a.bin" if case.one_file else self.folder / "model"

    def ours(self, act: str, case: Case, bundle: Path) -> bool:
        """Sign or verify with Sluice; whether it did."""
        command = [sys.executable, "-c", "from sluice.cli import main; main()", act, "model", str(self.model(case)), "--bundle", str(bundle)]
        if act == "sign":
            command += ["--hash", case.algorithm]
            keyless = ["--keyless", "--trust-config", f"{self.folder}/config.json", "--identity-token-file", f"{self.folder}/token"]
            command += keyless if case.keyless else ["--key", str(self.folder / f"{case.curve}.key")]
            command += ["--shards", "--shard-size", str(case.shards)] if case.shards else []
            # A list in shards covers no empty file, and who verifies accepts it by name.
            command += ["--ignore", "ä.txt"] if case.shards else []
            command += ["--certificate", f"{self.folder}/leaf.crt", "--certificate-chain", f"{self.folder}/above.crt"] if case.certificate else []
        else:
            command += ["--allow-uncovered", "ä.txt"] if case.shards else []
            command += self._trusted(case)
        return _succeeds(command)

    def _trusted(self, case: Case) -> list[str]:
        """Whom we verify by."""
        if case.keyless:
            return ["--trust-root", f"{self.folder}/root.json", "--identity", TRAINER, "--issuer", self.issuer]
        return ["--certificate-chain", f"{self.folder}/root.crt"] if case.certificate else ["--key", f"{self.folder}/{case.curve}.pub"]

    def theirs(self, act: str, case: Case, bundle: Path) -> bool:
        """Sign or verify with the reference; whether it did."""
        told = {
            "act": act,
            "algorithm": "blake2" if case.algorithm == "blake2b" else case.algorithm,
            "shards": case.shards,
            "certificate": f"{self.folder}/leaf.crt" if case.certificate else "",
            "keyless": case.keyless,
            "token": f"{self.folder}/token",
            "config": f"{self.folder}/config.json",
            "identity": TRAINER,
            "issuer": self.issuer,
            "chain": [f"{self.folder}/above.crt"],
            "root": f"{self.folder}/root.crt",
            "key": f"{self.folder}/{case.curve}.key",
            "public": f"{self.folder}/{case.curve}.pub",
            "model": str(self.model(case)),
            "bundle": str(bundle),
        }
        return _succeeds([str(ENVIRONMENT / "bin" / "python"), "-c", _THEIRS, json.dumps(told)])


def prepare() -> None:
    """Make the reference's environment, once for each list of requirements. Raises CalledProcessError."""
    mark = ENVIRONMENT / "requirements.txt"
    if mark.exists() and mark.read_bytes() == REQUIREMENTS.read_bytes():
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
    pip = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    subprocess.run([*pip, "--requirement", str(REQUIREMENTS)], check=True)
    shutil.copy(REQUIREMENTS, mark)


def compare(desk: Desk, record: Path | None) -> bool:
    """Run every case in both directions, print the table, and tell whether all came out as they should."""
    good = True
    for case in CASES:
        bundles = {who: desk.folder / f"{case.name}.{who}.sig" for who in ("ours", "theirs")}
        signed = desk.ours("sign", case, bundles["ours"]), desk.theirs("sign", case, bundles["theirs"])
        verified = desk.theirs("verify", case, bundles["ours"]), desk.ours("verify", case, bundles["theirs"])
        as_expected = signed == (True, True) and verified == (case.they_verify_ours, True)
        good &= as_expected
        words = f"they verify ours: {verified[0]!s:5}  we verify theirs: {verified[1]!s:5}"
        print(f"{case.name:16} {words}  {'as expected' if as_expected else 'UNEXPECTED'}")
        if record is not None and not case.keyless:
            shutil.copy(bundles["theirs"], record / f"{case.name}.sig")
    if record is not None:
        for name in ("p256.pub", "p384.pub", "p521.pub", "root.crt"):
            shutil.copy(desk.folder / name, record / name)
    return good


def main() -> int:
    """Compare, and record when asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--record", type=Path, metavar="FOLDER", help="keep the bundles that the reference signed")
    options = parser.parse_args()
    prepare()
    if options.record:
        options.record.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, IdentityProvider() as provider, PrivateServices(PrivateSigstore.create(), provider) as services:
        return 0 if compare(Desk(Path(folder), services, provider), options.record) else 1


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, check=False, capture_output=True, timeout=120).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
