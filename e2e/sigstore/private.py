"""`PrivateSigstore`: signs statements as a CI job with an OIDC identity would, and hands out the trusted root that verifies them.

`PrivateSigstore.in_folder(path)` keeps keys and log leaves in a folder, so that several runs of the demo share one instance and an old TrustRoot stays good.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from e2e.sigstore.authority import Authority, issue, key_id, new_authority, new_timestamping_unit, public_der, subject_name
from e2e.sigstore.bundles import Logged, Stamped, bundle
from e2e.sigstore.entries import IN_TOTO, EntryKind, PlainKey, Signature, b64, sign, signed_bytes
from e2e.sigstore.log import TransparencyLog

_LOGGED_AFTER = timedelta(seconds=5)
_LIFETIME = timedelta(days=3650)

RekorVersion = Literal[1, 2]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateSigstore:
    """All authorities of one private Sigstore."""

    root: Authority
    intermediate: Authority
    transparency_key: ec.EllipticCurvePrivateKey
    timestamp_root: Authority
    timestamping: Authority
    logs: Mapping[RekorVersion, TransparencyLog]
    start: datetime
    folder: Path | None = field(default=None, compare=False)

    @classmethod
    def create(cls, *, now: datetime | None = None) -> PrivateSigstore:
        """New keys, good from a day before `now` (default: the clock) for ten years."""
        start = (now or datetime.now(UTC)).replace(microsecond=0) - timedelta(days=1)
        end = start + _LIFETIME
        root = new_authority("root", start=start, end=end, depth=1)
        timestamp_root = new_authority("timestamp root", start=start, end=end)
        return cls(
            root=root,
            intermediate=new_authority("intermediate", start=start, end=end, parent=root, code_signing=True),
            transparency_key=ec.generate_private_key(ec.SECP256R1()),
            timestamp_root=timestamp_root,
            timestamping=new_timestamping_unit(timestamp_root, start=start, end=end),
            logs={
                1: TransparencyLog(origin="rekor.private.example", key=ec.generate_private_key(ec.SECP256R1())),
                2: TransparencyLog(origin="log2.private.example", key=ed25519.Ed25519PrivateKey.generate()),
            },
            start=start,
        )

    @classmethod
    def in_folder(cls, folder: Path, *, now: datetime | None = None) -> PrivateSigstore:
        """The instance whose keys are in `folder`; made there when the folder holds none."""
        state = folder / "private-sigstore.json"
        if state.exists():
            return _load(json.loads(state.read_text("utf-8")), folder)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = cls.create(now=now)
        state.touch(mode=0o600)
        state.write_text(json.dumps(_saved(made), indent=1), "utf-8")
        return _load(_saved(made), folder)

    @property
    def trusted_root_json(self) -> str:
        """The `trusted_root.json` that verifies what this instance signs."""
        since = {"start": self.start.strftime("%Y-%m-%dT%H:%M:%SZ")}

        def log(base_url: str, public: bytes, details: str, log_id: bytes) -> dict[str, Any]:
            return {
                "baseUrl": base_url,
                "hashAlgorithm": "SHA2_256",
                "publicKey": {"rawBytes": b64(public), "keyDetails": details, "validFor": since},
                "logId": {"keyId": b64(log_id)},
            }

        def authority(uri: str, *chain: Authority) -> dict[str, Any]:
            return {
                "subject": {"organization": "sluice private sigstore", "commonName": uri},
                "uri": uri,
                "certChain": {"certificates": [{"rawBytes": b64(each.certificate.public_bytes(serialization.Encoding.DER))} for each in chain]},
                "validFor": since,
            }

        details = {1: "PKIX_ECDSA_P256_SHA_256", 2: "PKIX_ED25519"}
        transparency = self.transparency_key.public_key()
        document = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(f"https://{each.origin}", each.public_der, details[version], each.log_id) for version, each in self.logs.items()],
            "certificateAuthorities": [authority("https://fulcio.private.example", self.intermediate, self.root)],
            "ctlogs": [log("https://ct.private.example", public_der(transparency), details[1], key_id(transparency))],
            "timestampAuthorities": [authority("https://tsa.private.example", self.timestamping, self.timestamp_root)],
        }
        return json.dumps(document, indent=1)

    def sign_statement(
        self,
        statement: Mapping[str, Any] | bytes,
        *,
        identity: str | Sequence[x509.GeneralName],
        issuer: str,
        when: datetime | None = None,
        rekor: RekorVersion = 1,
        payload_type: str = IN_TOTO,
        logged_after: timedelta = _LOGGED_AFTER,
        deprecated_issuer: str | None = None,
        claims: Mapping[int, str] | None = None,
    ) -> bytes:
        """A bundle of `statement`, signed at `when` (default: the clock) by `identity` that `issuer` vouches for.

        `claims` are what the identity provider says of the build, by number of Fulcio's extension. `payload_type`, `logged_after`, `deprecated_issuer` and an
        identity of several names are for tests of what must be refused.
        """
        when = (when or datetime.now(UTC)).replace(microsecond=0)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = issue(
            key.public_key(),
            names=[subject_name(identity)] if isinstance(identity, str) else identity,
            issuer=issuer,
            when=when,
            authority=self.intermediate,
            transparency_key=self.transparency_key,
            deprecated_issuer=deprecated_issuer,
            claims=claims,
        )
        payload = _payload(statement)
        content = signed_bytes(payload_type, payload)
        signature = Signature(content=content, payload=payload, payload_type=payload_type, value=sign(key, content), key=key, certificate=certificate)
        kind: EntryKind = "dsse 0.0.1" if rekor == 1 else "hashedrekord 0.0.2"
        logged = Logged(kind=kind, log=self.logs[rekor], when=when + logged_after)
        # Rekor version 2 gives no time; a timestamp authority does.
        stamped = [] if rekor == 1 else [Stamped(unit=self.timestamping, when=when + logged_after)]
        made = bundle(signature, logged=[logged], stamped=stamped)
        self._remember(rekor)
        return made

    def _remember(self, rekor: RekorVersion) -> None:
        if self.folder is not None:
            with (self.folder / f"log-{rekor}.leaves").open("ab") as leaves:
                leaves.write(self.logs[rekor].leaves[-1])


def sign_with_key(statement: Mapping[str, Any] | bytes, private_key: PlainKey, hint: str, *, pss: bool = False) -> bytes:
    """A bundle of `statement` signed with a plain key, as `cosign sign-blob --key` makes them; no log, no time. RSA keys sign with PKCS #1 v1.5, or `pss`."""
    payload = _payload(statement)
    content = signed_bytes(IN_TOTO, payload)
    return bundle(Signature(content=content, payload=payload, value=sign(private_key, content, pss=pss), key=private_key, certificate=None), hint=hint)


def _payload(statement: Mapping[str, Any] | bytes) -> bytes:
    return statement if isinstance(statement, bytes) else json.dumps(statement, separators=(",", ":"), ensure_ascii=False).encode()


_AUTHORITIES = ("root", "intermediate", "timestamp_root", "timestamping")


def _saved(sigstore: PrivateSigstore) -> dict[str, Any]:
    authorities = {
        name: {
            "key": _key_pem(getattr(sigstore, name).key),
            "certificate": getattr(sigstore, name).certificate.public_bytes(serialization.Encoding.PEM).decode(),
        }
        for name in _AUTHORITIES
    }
    return {
        "start": sigstore.start.isoformat(),
        "authorities": authorities,
        "transparency_key": _key_pem(sigstore.transparency_key),
        "logs": {str(version): {"origin": log.origin, "key": _key_pem(log.key)} for version, log in sigstore.logs.items()},
    }


def _load(saved: dict[str, Any], folder: Path) -> PrivateSigstore:
    def authority(name: str) -> Authority:
        entry = saved["authorities"][name]
        return Authority(key=_ec_key(entry["key"]), certificate=x509.load_pem_x509_certificate(entry["certificate"].encode()))

    logs: dict[RekorVersion, TransparencyLog] = {}
    versions: tuple[RekorVersion, ...] = (1, 2)
    for version in versions:
        entry = saved["logs"][str(version)]
        file = folder / f"log-{version}.leaves"
        content = file.read_bytes() if file.exists() else b""
        key = serialization.load_pem_private_key(entry["key"].encode(), password=None)
        if not isinstance(key, (ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)):
            raise TypeError(f"the key of log {version} is of a kind that no log here signs with")
        # A run that was killed while it wrote leaves part of a leaf: the rest is good.
        logs[version] = TransparencyLog(origin=entry["origin"], key=key, leaves=[content[at : at + 32] for at in range(0, len(content) - 31, 32)])
    return PrivateSigstore(
        root=authority("root"),
        intermediate=authority("intermediate"),
        transparency_key=_ec_key(saved["transparency_key"]),
        timestamp_root=authority("timestamp_root"),
        timestamping=authority("timestamping"),
        logs=logs,
        start=datetime.fromisoformat(saved["start"]),
        folder=folder,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def _ec_key(pem: str) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("an authority's key is not ECDSA")
    return key
