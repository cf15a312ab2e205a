"""Whether a certificate was issued, link by link, below a certificate that the trust root names (RFC 5280 section 6.1, for signing code).

Ours, and not the path validation of a TLS library: these are no servers, private roots are RSA as often as not, and each refusal has to say what it refuses.
What is not understood is refused: a critical extension, a name constraint, a hash that can be forged. Revocation lists are not asked for (there is no network);
revocations are the trust root's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.keys import VerificationKey

CHAIN_LIMIT = 8

_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_UNTRUSTED = Reason.CertificateUntrusted

E = TypeVar("E", bound=x509.ExtensionType)


def is_issued_by(child: x509.Certificate, parent: x509.Certificate) -> bool:
    """Whether `parent` has the name of the issuer of `child`, and its key made the signature, over a hash that cannot be forged."""
    if child.signature_hash_algorithm is not None and not isinstance(child.signature_hash_algorithm, _HASHES):
        return False
    try:
        child.verify_directly_issued_by(parent)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def check_authorities(authorities: Sequence[x509.Certificate], *, reason: Reason) -> None:
    """Check that each of `authorities`, nearest to the signer first, may issue what stands before it, for signing code. Raises ProvenanceError (`reason`)."""
    if not 1 <= len(authorities) <= CHAIN_LIMIT:
        raise ProvenanceError(reason, f"a chain has {len(authorities)} certificates of authorities; 1 to {CHAIN_LIMIT} are read")
    for below, authority in enumerate(authorities):
        what = f"the authority {_name(authority)}"
        _check_strength(authority, what=what, reason=reason)
        constraints = extension_of(authority, x509.BasicConstraints)
        if constraints is None or not constraints.ca:
            raise ProvenanceError(reason, f"{what} is no certificate authority (basicConstraints)")
        if constraints.path_length is not None and constraints.path_length < below:
            raise ProvenanceError(reason, f"{what} may have {constraints.path_length} authorities below it, and has {below}")
        usage = extension_of(authority, x509.KeyUsage)
        if usage is not None and not usage.key_cert_sign:
            raise ProvenanceError(reason, f"{what} may not sign certificates (keyUsage)")
        limited = extension_of(authority, x509.ExtendedKeyUsage)
        if limited is not None and not {ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(limited):
            raise ProvenanceError(reason, f"{what} is not for signing code (extendedKeyUsage)")
        if extension_of(authority, x509.NameConstraints) is not None:
            raise ProvenanceError(reason, f"{what} has nameConstraints, which we do not evaluate; use an authority without them")
        if below + 1 < len(authorities) and not is_issued_by(authority, authorities[below + 1]):
            raise ProvenanceError(reason, f"{what} was not issued by the next of its chain, {_name(authorities[below + 1])}")


def check_code_signing(certificate: x509.Certificate, *, may_be_authority: bool = False) -> VerificationKey:
    """Check that `certificate` is for signing code; return its key. Raises ProvenanceError."""
    what = "the signing certificate"
    key = _check_strength(certificate, what=what, reason=_UNTRUSTED)
    usage = extension_of(certificate, x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        raise ProvenanceError(_UNTRUSTED, f"{what} is not for digital signatures (keyUsage)")
    purposes = extension_of(certificate, x509.ExtendedKeyUsage)
    if purposes is None or ExtendedKeyUsageOID.CODE_SIGNING not in purposes:
        raise ProvenanceError(_UNTRUSTED, f"{what} is not for signing code (extendedKeyUsage)")
    constraints = extension_of(certificate, x509.BasicConstraints)
    if constraints is not None and constraints.ca and not may_be_authority:
        raise ProvenanceError(_UNTRUSTED, f"{what} is a certificate authority's")
    return key


def _check_strength(certificate: x509.Certificate, *, what: str, reason: Reason) -> VerificationKey:
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise ProvenanceError(reason, f"{what} has a critical extension {extension.oid.dotted_string} that we do not understand")
    return VerificationKey.of(certificate.public_key(), what=f"the key of {what}", name="certificate", reason=reason)


def extension_of(certificate: x509.Certificate, kind: type[E]) -> E | None:
    """Find the extension of `kind`; None without.

    The library's own look-up goes through abstract base classes, which would take a tenth of a verification.
    """
    return next((each.value for each in certificate.extensions if type(each.value) is kind), None)


def _name(certificate: x509.Certificate) -> str:
    return repr(certificate.subject.rfc4514_string()[:120])
