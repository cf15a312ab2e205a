"""RFC 3161 timestamps: an authority that the trust root names has seen the signature at a time.

The CMS signature, the authority's chain at that time, its purpose and the imprint are checked by rfc3161-client. We add what the signature is over
(`timestamp_token`), which authority it was, and that it was valid: a time that no window of the *same* authority holds is no time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from rfc3161_client import TimeStampResponse, VerificationError, Verifier, VerifierBuilder, decode_timestamp_response

from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import ProvenanceError, Reason, closed, quoted
from sluice.provenance.timestamp_token import Token, read_token
from sluice.provenance.validity import Window, window_of

_INVALID = Reason.TimestampInvalid


@dataclass(frozen=True, slots=True, kw_only=True)
class TimestampAuthority:
    """An authority that may date signatures."""

    name: str
    """Who it is when authorities are counted: its operator, or its certificate's fingerprint."""
    windows: tuple[Window, ...]
    """The trust root's window, and that of each certificate of its chain."""
    _verifier: Verifier = field(repr=False, compare=False)
    _certificate: bytes | None = field(default=None, repr=False, compare=False)
    """DER; None where any unit below a root may sign."""

    @classmethod
    def of_chain(cls, chain: Sequence[x509.Certificate], *, window: Window, operator: str | None = None) -> TimestampAuthority:
        """The authority that signs with the first certificate of `chain`, issued by the next, up to a root. Raises whatever the library does."""
        builder = VerifierBuilder(tsa_certificate=chain[0], roots=[chain[-1]], intermediates=list(chain[1:-1]))
        own = chain[0].public_bytes(serialization.Encoding.DER)
        return cls(name=operator or sha256_of(own), windows=(window, *map(window_of, chain)), _verifier=builder.build(), _certificate=own)

    @classmethod
    def of_root(cls, root: x509.Certificate, *, operator: str | None = None) -> TimestampAuthority:
        """Any unit below `root` whose certificate comes with the timestamp. Raises whatever the library does."""
        name = operator or sha256_of(root.public_bytes(serialization.Encoding.DER))
        return cls(name=name, windows=(window_of(root),), _verifier=VerifierBuilder(roots=[root]).build())

    def made(self, response: TimeStampResponse, token: Token, signature: bytes) -> bool:
        """Whether this authority made `response`, which is `token`, over `signature`."""
        try:
            holds = self._verifier.verify_message(response, signature)
        except VerificationError:
            return False
        return holds and all(map(token.names, [self._certificate] if self._certificate else _signers_own(response)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A verified timestamp."""

    time: datetime
    authority: str


def verify_timestamps(raws: Sequence[bytes], signature: bytes, authorities: Sequence[TimestampAuthority]) -> tuple[Stamp, ...]:
    """Verify each of `raws` (DER TimeStampResp) over `signature`: one that does not hold is not outvoted by one that does.

    Raises ProvenanceError: TimestampInvalid, or TrustExpired for a time at which its authority was not valid.
    """
    if len(set(raws)) != len(raws):
        raise ProvenanceError(_INVALID, "the bundle has the same timestamp twice")
    return tuple(_verified(raw, signature, authorities) for raw in raws)


def _verified(raw: bytes, signature: bytes, authorities: Sequence[TimestampAuthority]) -> Stamp:
    with closed(_INVALID, "the timestamp does not parse"):
        try:
            response = decode_timestamp_response(raw)
        except ValueError as error:
            raise ProvenanceError(_INVALID, f"the timestamp is no RFC 3161 response: {quoted(error)}") from error
        if response.as_bytes() != raw:
            raise ProvenanceError(_INVALID, "the timestamp is not in DER, or something stands behind it")
        time = response.tst_info.gen_time
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
        token = read_token(raw)
        makers = [authority for authority in authorities if authority.made(response, token, signature)]
    if not makers:
        raise ProvenanceError(_INVALID, "the timestamp is over another signature, or by an authority that the trust root does not hold")
    for maker in makers:
        if all(window.holds([time]) for window in maker.windows):
            return Stamp(time=time, authority=maker.name)
    raise ProvenanceError(Reason.TrustExpired, f"the timestamp authority was not valid when it made the timestamp ({time.isoformat()})")


def _signers_own(response: TimeStampResponse) -> list[bytes]:
    """The certificates in `response` that its signer names by issuer and number; the library has seen that there is one."""
    named = {(signer.issuer, signer.serial_number) for signer in response.signed_data.signer_infos}
    loaded = [(der, x509.load_der_x509_certificate(der)) for der in response.signed_data.certificates]
    return [der for der, certificate in loaded if (certificate.issuer, certificate.serial_number) in named]
