"""A private Sigstore of the real programs: Fulcio with a CA in memory, the timestamp authority, and Rekor version 2 on a folder.

    python -m e2e.sigstore.instance FOLDER [IDENTITY...]     serves until its input ends; FOLDER gets trust-config.json and a token for each identity

All of it has a network namespace of its own, with loopback only (some programs open ports for metrics on every address), and a process namespace that ends
with it. Two things beside it are fakes: the identity provider and the certificate transparency log. Needs root.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from e2e.cluster.build import SIGSTORE, Binaries
from e2e.cluster.narrate import Narrator, StepFailed
from e2e.sigstore.authority import key_id, public_der
from e2e.sigstore.certificate_log import CertificateLog
from e2e.sigstore.entries import b64
from e2e.sigstore.identity_provider import AUDIENCE, IdentityProvider
from e2e.sigstore.log import TransparencyLog
from e2e.sigstore.loopback import LoopbackServer
from e2e.sigstore.trust_config import client_trust_config

FULCIO, TIMESTAMPS, LOG = "http://127.0.0.1:5555", "http://127.0.0.1:3004", "http://127.0.0.1:3000"
CONFIG, ROOT, ISSUER = "trust-config.json", "trusted_root.json", "issuer"
_ORIGIN = "log.private.example"
_READY = "ready"
_START_SECONDS = 30.0
_CLONE_NEWNET = 0x40000000


class SigstoreInstance:
    """The instance, from the beginning to the end of the `with` block."""

    def __init__(self, folder: Path, *identities: str) -> None:
        """Start nothing yet; `folder` gets what clients need."""
        self.folder = folder
        self._identities = identities
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start all of it, and wait until it answers. Raises StepFailed."""
        binaries = Binaries(Narrator())
        for program in SIGSTORE.programs:
            binaries[program]
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "instance.log"
        isolated = ["unshare", "--net", "--pid", "--fork", "--kill-child", "setpriv", "--pdeathsig", "KILL"]
        command = [*isolated, sys.executable, "-m", "e2e.sigstore.instance", str(self.folder), *self._identities]
        with log.open("wb") as errors:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, cwd=Path(__file__).parents[2])
        if self._process.stdout is None or self._process.stdout.readline().strip() != _READY.encode():
            self.__exit__(None, None, None)
            raise StepFailed("the private Sigstore did not start", log=log)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End all of it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """This thread, and those that it starts, reach the services and nothing else."""
        if self._process is None:
            raise RuntimeError("the instance is not running")
        own, theirs = (os.open(f"/proc/{who}/ns/net", os.O_RDONLY | os.O_CLOEXEC) for who in ("thread-self", self._process.pid))
        try:
            _enter(theirs)
            yield
        finally:
            _enter(own)
            os.close(own)
            os.close(theirs)

    def token(self, identity: str) -> Path:
        """A file with an identity token for `identity`, good for ten minutes from the start."""
        return self.folder / f"{identity}.token"

    @property
    def issuer(self) -> str:
        """Who vouches for the identities."""
        return (self.folder / ISSUER).read_text()


def _enter(namespace: int) -> None:
    """setns(2), which Python has from 3.12 on. Raises OSError."""
    if ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def serve(folder: Path, identities: Sequence[str]) -> None:
    """Start everything in the network namespace that this process is alone in, say so, and stay until the input ends. Raises StepFailed."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    promising = ec.generate_private_key(ec.SECP256R1())
    log = TransparencyLog(origin=_ORIGIN, key=ed25519.Ed25519PrivateKey.generate())
    with IdentityProvider() as provider, LoopbackServer(CertificateLog(promising).answer) as certificate_log:
        issuers = {provider.url: {"issuer-url": provider.url, "client-id": AUDIENCE, "type": "email"}}
        (folder / "fulcio.yaml").write_text(yaml.safe_dump({"oidc-issuers": issuers}))
        pem = promising.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        (folder / "certificate-log.pub").write_bytes(pem)
        private = log.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (folder / "log.key").write_bytes(private)
        _start(folder, certificate_log.url)
        root = _trusted_root(log, promising.public_key())
        (folder / ROOT).write_text(json.dumps(root))
        config = client_trust_config(root, fulcio=FULCIO, log=LOG, timestamps=f"{TIMESTAMPS}/api/v1/timestamp", provider=provider.url)
        (folder / CONFIG).write_text(config)
        (folder / ISSUER).write_text(provider.url)
        for identity in identities:
            (folder / f"{identity}.token").write_text(provider.token(identity))
        print(_READY, flush=True)
        sys.stdin.read()


def _start(folder: Path, certificate_log: str) -> None:
    """Start the three programs and wait until each answers."""
    binaries = Binaries(Narrator())
    commands = {
        "fulcio": [
            "serve", "--host=127.0.0.1", "--port=5555", "--grpc-host=127.0.0.1", "--grpc-port=5554", "--metrics-port=2113", "--ca=ephemeralca",
            f"--config-path={folder}/fulcio.yaml", f"--ct-log-url={certificate_log}", f"--ct-log-public-key-path={folder}/certificate-log.pub",
        ],
        "timestamp-server": ["serve", "--host=127.0.0.1", "--port=3004", "--scheme=http", "--timestamp-signer=memory", "--disable-ntp-monitoring"],
        "rekor-server": [
            "serve", "--http-address=127.0.0.1", "--http-port=3000", "--grpc-address=127.0.0.1", "--http-metrics-port=2114", f"--hostname={_ORIGIN}",
            f"--storage-dir={folder}/log", f"--signer-filepath={folder}/log.key", "--checkpoint-interval=200ms", "--batch-max-age=50ms",
        ],
    }  # fmt: skip
    started = {}
    for program, arguments in commands.items():
        with (folder / f"{program}.log").open("wb") as output:
            started[program] = subprocess.Popen([str(binaries[program]), *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    answers = {"fulcio": f"{FULCIO}/api/v2/trustBundle", "timestamp-server": f"{TIMESTAMPS}/ping", "rekor-server": f"{LOG}/healthz"}
    deadline = time.monotonic() + _START_SECONDS
    for program, url in answers.items():
        while not _answers(url):
            if started[program].poll() is not None or time.monotonic() > deadline:
                raise StepFailed(f"{program} does not answer at {url}", log=folder / f"{program}.log")
            time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        _fetched(url)
    except (urllib.error.URLError, ConnectionError):
        return False
    return True


def _fetched(url: str) -> bytes:
    """What one of our own programs answers: nobody else is on this loopback. Raises URLError."""
    with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - an address of this module
        content: bytes = response.read()
    return content


def _trusted_root(log: TransparencyLog, promising: ec.EllipticCurvePublicKey) -> dict[str, Any]:
    """The trusted root, of what the programs say of themselves."""
    fulcio = json.loads(_fetched(f"{FULCIO}/api/v2/trustBundle"))["chains"][0]["certificates"]
    timestamps = x509.load_pem_x509_certificates(_fetched(f"{TIMESTAMPS}/api/v1/timestamp/certchain"))
    since = {"start": (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")}

    def authority(uri: str, chain: Sequence[x509.Certificate]) -> dict[str, Any]:
        certificates = [{"rawBytes": b64(each.public_bytes(serialization.Encoding.DER))} for each in chain]
        subject = {"organization": "sluice private sigstore", "commonName": uri}
        return {"subject": subject, "uri": uri, "certChain": {"certificates": certificates}, "validFor": since}

    def entry(url: str, public: bytes, details: str, log_id: bytes) -> dict[str, Any]:
        key = {"rawBytes": b64(public), "keyDetails": details, "validFor": since}
        return {"baseUrl": url, "hashAlgorithm": "SHA2_256", "publicKey": key, "logId": {"keyId": b64(log_id)}}

    return {
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [entry(f"https://{_ORIGIN}", log.public_der, "PKIX_ED25519", log.log_id)],
        "certificateAuthorities": [authority(FULCIO, [x509.load_pem_x509_certificate(each.encode()) for each in fulcio])],
        "ctlogs": [entry("https://ct.private.example", public_der(promising), "PKIX_ECDSA_P256_SHA_256", key_id(promising))],
        "timestampAuthorities": [authority(TIMESTAMPS, timestamps)],
    }


def main() -> int:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("identity", nargs="*")
    options = parser.parse_args()
    serve(options.folder, options.identity)
    return 0


if __name__ == "__main__":
    sys.exit(main())
