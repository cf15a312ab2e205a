"""What rfc3161-client does not look at in a timestamp: the attributes that its signature is over.

One signer; signed attributes, which say that a time-stamp token was signed and with which certificate, over a hash that cannot be forged. Without the last, an
authority that has several certificates for one key could not say which of them it meant, and the one that suits the bearer would do.

Specifications: RFC 3161 section 2.4.2, RFC 5652 sections 5.3 and 11.1, RFC 5035 (ESSCertID, ESSCertIDv2), RFC 5816.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sluice.provenance.errors import ProvenanceError, Reason

_INVALID = Reason.TimestampInvalid
_OCTETS, _OID, _SEQUENCE, _SET, _TAGGED_0 = 0x04, 0x06, 0x30, 0x31, 0xA0
_LONG_FORM = 0x80
_LENGTH_OCTETS = 4
_SMI = bytes.fromhex("2a864886f70d0109")  # 1.2.840.113549.1.9
_CONTENT_TYPE = _SMI + b"\x03"
_TOKEN_INFO = _SMI + b"\x10\x01\x04"  # …16.1.4, id-ct-TSTInfo
_SIGNING_CERTIFICATE = _SMI + b"\x10\x02\x0c"
_SIGNING_CERTIFICATE_V2 = _SMI + b"\x10\x02\x2f"
_NIST_HASH = bytes.fromhex("6086480165030402")  # 2.16.840.1.101.3.4.2
_HASHES: Mapping[bytes, str] = MappingProxyType({_NIST_HASH + b"\x01": "sha256", _NIST_HASH + b"\x02": "sha384", _NIST_HASH + b"\x03": "sha512"})

Element = tuple[int, bytes]
"""Tag and content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What a token says of its signer."""

    certificate_hashes: tuple[tuple[str, bytes], ...]
    """Algorithm and digest of the signer's certificate: one, or an old and a new form of the same word."""

    def names(self, certificate: bytes) -> bool:
        """Whether `certificate` (DER) is the one that signed, by the signer's own word."""
        return all(hashlib.new(algorithm, certificate, usedforsecurity=False).digest() == digest for algorithm, digest in self.certificate_hashes)


def read_token(response: bytes) -> Token:
    """Read the signer of a TimeStampResp (DER). Raises ProvenanceError (TimestampInvalid); ValueError or IndexError where it is no such structure."""
    # 1. TimeStampResp > ContentInfo > SignedData: the last member are the signers.
    _, content_info = _elements(_only(response, _SEQUENCE))[:2]
    explicit = _elements(_content(content_info, _SEQUENCE))[1]
    signed_data = _elements(_only(_content(explicit, _TAGGED_0), _SEQUENCE))
    signers = _elements(_content(signed_data[-1], _SET))
    if len(signers) != 1:
        raise ProvenanceError(_INVALID, f"the timestamp has {len(signers)} signers; exactly one is the authority (RFC 3161 section 2.4.2)")
    # 2. SignerInfo: version, name, hash, attributes.
    _, _, hashed, attributes, *_ = [*_elements(_content(signers[0], _SEQUENCE)), (0, b"")]
    if _algorithm(hashed) is None:
        raise ProvenanceError(_INVALID, "the timestamp is not signed over SHA-256, SHA-384 or SHA-512")
    if attributes[0] != _TAGGED_0:
        raise ProvenanceError(_INVALID, "the timestamp has no signed attributes, so it does not say with which certificate it was signed (RFC 5816)")
    return _token(attributes[1])


def _token(attributes: bytes) -> Token:
    values: dict[bytes, bytes] = {}
    for attribute in _elements(attributes):
        kind, value = _elements(_content(attribute, _SEQUENCE))
        if _content(kind, _OID) in values:
            raise ProvenanceError(_INVALID, "the timestamp has a signed attribute twice")
        values[_content(kind, _OID)] = _content(value, _SET)
    # 3. That it is a token which was signed.
    if _only(values.get(_CONTENT_TYPE, b""), _OID) != _TOKEN_INFO:
        raise ProvenanceError(_INVALID, "the timestamp's signature is over something that is no time-stamp token (content-type attribute)")
    # 4. With which certificate: the first one that is named.
    named = []
    if _SIGNING_CERTIFICATE in values:
        named.append(("sha1", _content(_first_named(values[_SIGNING_CERTIFICATE])[0], _OCTETS)))
    if _SIGNING_CERTIFICATE_V2 in values:
        first, *more = _first_named(values[_SIGNING_CERTIFICATE_V2])
        algorithm = "sha256" if first[0] == _OCTETS else _algorithm(first)
        if algorithm is None:
            raise ProvenanceError(_INVALID, "the timestamp names its certificate by a hash that can be forged")
        named.append((algorithm, _content(first if first[0] == _OCTETS else more[0], _OCTETS)))
    if not named:
        raise ProvenanceError(_INVALID, "the timestamp does not say with which certificate it was signed (signing-certificate attribute, RFC 5816)")
    return Token(certificate_hashes=tuple(named))


def _first_named(value: bytes) -> list[Element]:
    """The members of the first ESSCertID or ESSCertIDv2 of a SigningCertificate."""
    identifiers = _elements(_content(_elements(_only(value, _SEQUENCE))[0], _SEQUENCE))
    return _elements(_content(identifiers[0], _SEQUENCE))


def _algorithm(identifier: Element) -> str | None:
    return _HASHES.get(_content(_elements(_content(identifier, _SEQUENCE))[0], _OID))


def _only(der: bytes, tag: int) -> bytes:
    """The content of the one element in `der`."""
    (element,) = _elements(der)
    return _content(element, tag)


def _content(element: Element, tag: int) -> bytes:
    if element[0] != tag:
        raise ValueError(f"tag {element[0]:#x} where {tag:#x} belongs")
    return element[1]


def _elements(der: bytes) -> list[Element]:
    """The elements one after the other in `der` (X.690: tags of one octet, definite lengths)."""
    elements, at = [], 0
    while at < len(der):
        tag, size, start = der[at], der[at + 1], at + 2
        if size >= _LONG_FORM:
            octets = size - _LONG_FORM
            if not 1 <= octets <= _LENGTH_OCTETS:
                raise ValueError("a length that is none")
            size, start = int.from_bytes(der[start : start + octets], "big"), start + octets
        if start + size > len(der):
            raise ValueError("an element longer than what holds it")
        elements.append((tag, der[start : start + size]))
        at = start + size
    return elements
