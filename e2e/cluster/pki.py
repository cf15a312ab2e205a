"""One certificate authority per cluster; keys, certificates and kubeconfigs signed by it.

Users of the cluster are client certificates: the common name is the user, organisations are groups. Whoever can read the state folder can
make any user, which is what tests of "who may approve" need.
"""

import base64
import datetime as dt
import ipaddress
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from e2e.cluster.place import Place

VALID_FOR = dt.timedelta(days=365)
CLOCK_SKEW = dt.timedelta(hours=1)
NODE_NAME = "node0"
ADMIN = ("admin", "system:masters")
COMPONENT_USERS = {
    "admin": ADMIN,
    "kube-controller-manager": ("system:kube-controller-manager", None),
    "kube-scheduler": ("system:kube-scheduler", None),
    "kube-proxy": ("system:kube-proxy", None),
    "kubelet": (f"system:node:{NODE_NAME}", "system:nodes"),
    "coredns": ("system:coredns", None),
}


def ensure(place: Place) -> None:
    """Make every key, certificate and kubeconfig of a cluster, all at once, unless they are there."""
    if place.pki.is_dir():
        return
    scratch = place.pki.with_name(".pki.partial")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"sluice local cluster {place.name}")])
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    _write_pair(scratch, "ca", authority, authority_key)
    for component, (user, group) in COMPONENT_USERS.items():
        sans = [NODE_NAME, place.node_address] if component == "kubelet" else []
        _write_pair(scratch, component, *_issue(scratch, user, groups=[group] if group else [], sans=sans))
        (scratch / f"{component}.kubeconfig").write_text(_kubeconfig(scratch, place, component), encoding="utf-8")
    server_names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"]
    addresses = [place.node_address, place.api_service_address, "127.0.0.1"]
    _write_pair(scratch, "kube-apiserver", *_issue(scratch, "kube-apiserver", sans=[*server_names, *addresses]))
    service_accounts = ec.generate_private_key(ec.SECP256R1())
    (scratch / "service-accounts.key").write_bytes(_pem(service_accounts))
    (scratch / "service-accounts.pub").write_bytes(service_accounts.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    scratch.rename(place.pki)


def user_kubeconfig(place: Place, user: str, *, groups: Sequence[str] = ()) -> str:
    """Make a kubeconfig (JSON, which is YAML) in which `user`, a member of `groups`, is known by a fresh client certificate."""
    certificate, key = _issue(place.pki, user, groups=groups)
    return _config(place, user, (place.pki / "ca.crt").read_bytes(), certificate.public_bytes(Encoding.PEM), _pem(key))


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + VALID_FOR)
    )


def _issue(folder: Path, common_name: str, *, groups: Sequence[str] = (), sans: Sequence[str] = ()) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Sign a certificate for `common_name` with the authority in `folder`; one with `sans` also serves."""
    authority = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    authority_key = load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
    if not isinstance(authority_key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{folder / 'ca.key'} is no elliptic-curve key")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name), *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups)])
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if sans else [])]
    builder = _builder(subject, authority.subject, key.public_key()).add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    # Clients that check strictly (Python 3.13 does) want the issuer named by its key.
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    builder = builder.add_extension(identifier, critical=False)
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(san) for san in sans]), critical=False)
    return builder.sign(authority_key, hashes.SHA256()), key


def _general_name(san: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(san))
    except ValueError:
        return x509.DNSName(san)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write_pair(folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / f"{name}.key").write_bytes(_pem(key))


def _kubeconfig(folder: Path, place: Place, name: str) -> str:
    ca, certificate, key = (folder / "ca.crt", folder / f"{name}.crt", folder / f"{name}.key")
    return _config(place, name, ca.read_bytes(), certificate.read_bytes(), key.read_bytes())


def _config(place: Place, user: str, authority: bytes, certificate: bytes, key: bytes) -> str:
    def text(pem: bytes) -> str:
        return base64.b64encode(pem).decode()

    context = f"sluice-{place.name}"
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": context, "cluster": {"server": place.api, "certificate-authority-data": text(authority)}}],
            "users": [{"name": user, "user": {"client-certificate-data": text(certificate), "client-key-data": text(key)}}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": user}}],
            "current-context": context,
        },
        indent=1,
    )
