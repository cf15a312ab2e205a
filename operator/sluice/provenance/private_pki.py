"""Certificates of a company's own authorities: no Fulcio, no log, a chain to a root that the trust root holds (OpenSSF model signing, method `certificate`).

Who signed is the certificate's one subject alternative name, or its subject where it has none; who vouches is the root's subject, in the words of RFC 4514.
Nothing but an RFC 3161 timestamp says when: a signer dates nothing. Without a timestamp the trust root has to say that it takes signatures of any time, because
then an expired certificate counts as well, until it is revoked.

A certificate that is itself an authority may sign: real signing certificates are (the model signing specification's own example is one), and whoever holds such
a key could issue one that is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from cryptography import x509

from sluice.provenance.certificate import Certified, check_order, check_valid, fingerprints, load_certificates, serial_of
from sluice.provenance.certificate_chain import check_authorities, check_code_signing, extension_of, is_issued_by
from sluice.provenance.certificate_names import identity_of, printable
from sluice.provenance.envelope import UnverifiedBundle
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.keys import VerificationKey
from sluice.provenance.signed_content import SignedContent
from sluice.provenance.timestamp import TimestampAuthority, verify_timestamps
from sluice.provenance.validity import FOREVER, window_of
from sluice.provenance.witnesses import Thresholds

PEM_LIMIT = 131_072
ROOT_LIMIT = 16

_MALFORMED, _UNTRUSTED = Reason.TrustRootMalformed, Reason.CertificateUntrusted


class CertificateRoots:
    """The roots of one private PKI. Immutable; raises ProvenanceError (TrustRootMalformed) when they are not usable."""

    def __init__(self, pem: str, *, timestamp_pem: str = "", undated: bool = False) -> None:
        """Parse the PEM certificates of authorities, and of those that may date signatures; `undated`: signatures without a date count as well."""
        self.roots = _certificates(pem, "certificateAuthorities.pem")
        with closed(_MALFORMED, "an authority of certificateAuthorities.pem cannot be used"):
            for root in self.roots:
                check_authorities([root], reason=_MALFORMED)
        timestamp_roots = _certificates(timestamp_pem, "certificateAuthorities.timestampPem") if timestamp_pem else ()
        with closed(_MALFORMED, "an authority of certificateAuthorities.timestampPem cannot be used"):
            self.timestamp_authorities = tuple(_dating(certificate, timestamp_roots) for certificate in timestamp_roots)
        self.undated = undated
        if not self.timestamp_authorities and not undated:
            raise ProvenanceError(
                _MALFORMED, "no signature could ever be dated: give certificateAuthorities.timestampPem, or set certificateAuthorities.undated to Accept"
            )
        self.fingerprints = fingerprints(self.roots), fingerprints(timestamp_roots)


def verify_pki_bundle(bundle: UnverifiedBundle, signed: SignedContent, trust: CertificateRoots, required: Thresholds) -> Certified:
    """Verify `bundle`, which signs `signed`, against `trust`. Log entries are not looked at: no log is trusted here. Raises ProvenanceError."""
    with closed(Reason.BundleMalformed, "the certificate does not parse"):
        certificates = load_certificates(bundle.certificates)
        # 1. The bundle's certificates are a chain, and lead to a root.
        check_order(certificates)
        authorities = _authorities(certificates, trust.roots)
        # 2. Each authority may issue what stands before it, and the first certificate is for signing code.
        check_authorities(authorities, reason=_UNTRUSTED)
        key = check_code_signing(certificates[0], may_be_authority=True)
        # 3. The certified key made the signature.
        signed.check_signed_by(key, who="the certificate's key")
        # 4. Timestamps, and the validity of the whole chain at each.
        stamps = verify_timestamps(bundle.timestamps, bundle.signature, trust.timestamp_authorities)
        if len({stamp.authority for stamp in stamps}) < required.timestamps:
            raise ProvenanceError(Reason.TooFewWitnesses, f"{len(stamps)} timestamps; the trust root asks for {required.timestamps} of different authorities")
        if not stamps and not trust.undated:
            raise ProvenanceError(
                Reason.TimestampMissing, "nothing says when this was signed: sign with an RFC 3161 timestamp of an authority of the trust root"
            )
        for certificate in (certificates[0], *authorities):
            check_valid(certificate, [stamp.time for stamp in stamps])
        _check_ever_valid((certificates[0], *authorities))
        return Certified(
            identity=_identity(certificates[0]),
            issuer=_name(authorities[-1], "issuer"),
            claims=MappingProxyType({}),
            key_fingerprint=key.fingerprint,
            chain_fingerprints=fingerprints([certificates[0], *authorities]),
            serial=serial_of(certificates[0]),
            signed_at=min((stamp.time for stamp in stamps), default=None),
        )


def _dating(certificate: x509.Certificate, given: Sequence[x509.Certificate]) -> TimestampAuthority:
    """An authority with all its units, or one unit, which then may leave its certificate out of what it signs. What leads to one root counts as one."""
    chain = [certificate]
    while (above := next((each for each in given if each not in chain and is_issued_by(chain[-1], each)), None)) is not None:
        chain.append(above)
    name = fingerprints(chain)[-1]
    constraints = extension_of(certificate, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        return TimestampAuthority.of_root(certificate, operator=name)
    if len(chain) == 1:
        unit = certificate.subject.rfc4514_string()[:120]
        raise ProvenanceError(_MALFORMED, f"certificateAuthorities.timestampPem holds {unit!r}, and no authority that issued it")
    return TimestampAuthority.of_chain(chain, window=FOREVER, operator=name)


def _authorities(chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """What stands above the first of `chain`, up to and with the first root that issued something of it."""
    for index, certificate in enumerate(chain):
        if index and certificate in roots:
            return list(chain[1 : index + 1])
        for root in roots:
            if is_issued_by(certificate, root):
                return [*chain[1 : index + 1], root]
    raise ProvenanceError(_UNTRUSTED, "the certificate does not lead to a root of the trust root; a bundle carries the intermediates, in order")


def _check_ever_valid(chain: Sequence[x509.Certificate]) -> None:
    """Without a date, at least: there was a moment at which the whole chain was valid."""
    if max(each.not_valid_before_utc for each in chain) > min(each.not_valid_after_utc for each in chain):
        raise ProvenanceError(_UNTRUSTED, "the certificate and its authorities were never valid at the same time")


def _identity(certificate: x509.Certificate) -> str:
    if extension_of(certificate, x509.SubjectAlternativeName) is None:
        return _name(certificate, "identity")
    return identity_of(certificate)


def _name(certificate: x509.Certificate, what: str) -> str:
    return printable(certificate.subject.rfc4514_string(), what)


def _certificates(pem: str, field: str) -> tuple[x509.Certificate, ...]:
    if len(pem) > PEM_LIMIT:
        raise ProvenanceError(_MALFORMED, f"{field} is {len(pem):,} characters; at most {PEM_LIMIT:,} are read")
    with closed(_MALFORMED, f"{field} is no list of PEM certificates"):
        certificates = tuple(x509.load_pem_x509_certificates(pem.encode("ascii")))
        for certificate in certificates:  # The library parses each part when it is asked for.
            VerificationKey.of(certificate.public_key(), what=f"a key of {field}", name="root", reason=_MALFORMED)
            _ = certificate.subject.rfc4514_string(), window_of(certificate)
    if not 1 <= len(certificates) <= ROOT_LIMIT or len(set(certificates)) != len(certificates):
        raise ProvenanceError(_MALFORMED, f"{field} holds {len(certificates)} certificates; it needs 1 to {ROOT_LIMIT} that differ")
    return certificates
