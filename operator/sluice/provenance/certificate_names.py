"""What a signing certificate says about its owner: one identity, who vouched for it, and what the identity provider claimed besides.

Nothing here is a check of trust: names mean something only after the certificate was led to a trust root.

Fulcio's certificate extensions: https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cryptography import x509
from cryptography.x509.oid import ObjectIdentifier

from sluice.provenance.certificate_chain import extension_of
from sluice.provenance.errors import ProvenanceError, Reason

_FULCIO = "1.3.6.1.4.1.57264.1."
_ISSUER_V1 = ObjectIdentifier(_FULCIO + "1")
_USERNAME = ObjectIdentifier(_FULCIO + "7")
_ISSUER_V2 = ObjectIdentifier(_FULCIO + "8")
# Extensions .2 to .6 say the same in a deprecated form and for one forge only; they are not read.
_CLAIMS: Mapping[ObjectIdentifier, str] = MappingProxyType(
    {
        ObjectIdentifier(_FULCIO + number): name
        for number, name in {
            "9": "buildSignerURI",
            "10": "buildSignerDigest",
            "11": "runnerEnvironment",
            "12": "sourceRepositoryURI",
            "13": "sourceRepositoryDigest",
            "14": "sourceRepositoryRef",
            "15": "sourceRepositoryIdentifier",
            "16": "sourceRepositoryOwnerURI",
            "17": "sourceRepositoryOwnerIdentifier",
            "18": "buildConfigURI",
            "19": "buildConfigDigest",
            "20": "buildTrigger",
            "21": "runInvocationURI",
            "22": "sourceRepositoryVisibilityAtSigning",
        }.items()
    }
)
_DER_UTF8_STRING = 0x0C
_NAME_LIMIT = 2048


def identity_of(certificate: x509.Certificate) -> str:
    """The one name in the certificate (Fulcio: an e-mail address, a URI, or a username as otherName). Raises ProvenanceError (IdentityMalformed)."""
    names = list(extension_of(certificate, x509.SubjectAlternativeName) or ())
    if len(names) != 1:
        raise ProvenanceError(Reason.IdentityMalformed, f"the certificate has {len(names)} subject alternative names; exactly one is an identity")
    match names[0]:
        case x509.RFC822Name(value=value) | x509.UniformResourceIdentifier(value=value):
            return printable(value, "identity")
        case x509.OtherName(type_id=type_id, value=value) if type_id == _USERNAME:
            return printable(_utf8_string(value, "identity"), "identity")
        case other:
            raise ProvenanceError(
                Reason.IdentityMalformed, f"the certificate names its owner by {type(other).__name__}; an e-mail address or a URI is an identity"
            )


def issuer_of(certificate: x509.Certificate) -> str:
    """Who vouched for the identity: extension .1.8 (a DER string), or the deprecated .1.1 (bare bytes). Both must agree when both are there.

    Raises ProvenanceError (IdentityMalformed).
    """
    found: dict[ObjectIdentifier, str] = {}
    for oid, content in _unrecognized(certificate).items():
        if oid in {_ISSUER_V2, _ISSUER_V1}:
            found[oid] = printable(_utf8_string(content, "issuer") if oid == _ISSUER_V2 else content.decode("utf-8"), "issuer")
    if not found:
        raise ProvenanceError(Reason.IdentityMalformed, "the certificate does not say who vouched for the identity (extension 1.3.6.1.4.1.57264.1.8)")
    if len(set(found.values())) > 1:
        raise ProvenanceError(Reason.IdentityMalformed, "the certificate names two issuers that differ (extensions .1.1 and .1.8)")
    return next(iter(found.values()))


def claims_of(certificate: x509.Certificate) -> Mapping[str, str]:
    """What the identity provider said about the build, by the names of Fulcio's specification in camelCase; empty without. Raises ProvenanceError."""
    extensions = _unrecognized(certificate)
    return MappingProxyType({name: printable(_utf8_string(extensions[oid], name), name) for oid, name in _CLAIMS.items() if oid in extensions})


def _unrecognized(certificate: x509.Certificate) -> dict[ObjectIdentifier, bytes]:
    return {each.oid: each.value.value for each in certificate.extensions if type(each.value) is x509.UnrecognizedExtension}


def _utf8_string(der: bytes, what: str) -> str:
    """The text of a DER UTF8String that is all of `der` (X.690 section 8.1.3: the shortest form of the length)."""
    if len(der) >= 2 and der[0] == _DER_UTF8_STRING:  # noqa: PLR2004 - tag and length
        octets = der[1] - 0x80 if der[1] > 0x80 else 0  # noqa: PLR2004 - the long form's marker
        content = der[2 + octets :]
        if der[1:] == _length(len(content)) + content:
            return content.decode("utf-8")
    raise ProvenanceError(Reason.IdentityMalformed, f"the {what} in the certificate is not a DER UTF8String")


def _length(size: int) -> bytes:
    if size < 0x80:  # noqa: PLR2004 - DER's short form of a length
        return bytes([size])
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets


def printable(text: str, what: str) -> str:
    """`text`, which has to be something that can be shown and compared. Raises ProvenanceError (IdentityMalformed)."""
    if not text or len(text) > _NAME_LIMIT or not text.isprintable():
        raise ProvenanceError(Reason.IdentityMalformed, f"the {what} in the certificate is empty, too long or holds characters that cannot be shown")
    return text
