"""A Sigstore trusted root whose windows are enforced at the signing time.

sigstore-python looks at `validFor.end` of timestamp authorities only, and compares `validFor.start` with the clock of the machine. Here the material that
is valid at the signing time is chosen first and the library gets nothing else to verify with. The time is read from the bundle before it is authenticated:
a forged time chooses other material, and then that same material refuses to vouch for it.

Public trusted roots keep keys of years, so a handful of choices covers all bundles; each keeps its parsed keys and certificates.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509 import Certificate, load_der_x509_certificate
from sigstore.models import TrustedRoot
from sigstore.verify import Verifier
from sigstore_models.common.v1 import TimeRange
from sigstore_models.trustroot import v1 as models

from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.strict_json import JsonObject, canonical, parse_object

TEXT_LIMIT = 262_144
AUTHORITY_LIMIT = 32
CHAIN_LIMIT = 8
_CHOICES_KEPT = 16

_ALWAYS = TimeRange(start=datetime(1970, 1, 1, tzinfo=UTC), end=None)
_Choice = tuple[tuple[int, ...], ...]
_Value = TypeVar("_Value")


class SigstoreRoot:
    """The keys and certificates of one Sigstore instance. Thread-safe; raises ProvenanceError (TrustRootMalformed) when the text is not usable."""

    def __init__(self, text: str) -> None:
        raw = text.encode("utf-8", "replace")
        document = parse_object(raw, what="the trusted root", limit=TEXT_LIMIT, reason=Reason.TrustRootMalformed)
        _refuse_second_spelling(document)
        self.canonical = canonical(document)
        with closed(Reason.TrustRootMalformed, "the trusted root does not parse"):
            self._inner = models.TrustedRoot.from_json(raw)
        for what, entries in (
            ("tlogs", self._inner.tlogs),
            ("certificateAuthorities", self._inner.certificate_authorities),
            ("ctlogs", self._inner.ctlogs),
        ):
            if not 1 <= len(entries) <= AUTHORITY_LIMIT:
                raise ProvenanceError(Reason.TrustRootMalformed, f"the trusted root has {len(entries)} {what}; it needs 1 to {AUTHORITY_LIMIT}")
        if len(self._inner.timestamp_authorities) > AUTHORITY_LIMIT:
            raise ProvenanceError(Reason.TrustRootMalformed, f"the trusted root has more than {AUTHORITY_LIMIT} timestampAuthorities")
        with closed(Reason.TrustRootMalformed, "a key or certificate of the trusted root does not parse"):
            for log in (*self._inner.tlogs, *self._inner.ctlogs):
                load_der_public_key(log.public_key.raw_bytes or b"")
            self._authority_windows = [_windows_of_authority(authority) for authority in self._inner.certificate_authorities]
            self._timestamping_windows = [_windows_of_authority(authority) for authority in self._inner.timestamp_authorities]
            self._log_windows = [_windows_of_log(log) for log in self._inner.tlogs]
            self._ct_windows = [_windows_of_log(log) for log in self._inner.ctlogs]
            for window in itertools.chain.from_iterable(self._authority_windows + self._timestamping_windows + self._log_windows + self._ct_windows):
                _refuse_local_time(window)
        self._verifiers: OrderedDict[_Choice, Verifier] = OrderedDict()
        # With everything in it, once, so that what the library cannot use shows here and not at the first bundle.
        self._verifier(tuple(tuple(range(len(part))) for part in self._parts()))

    def verifier_at(self, *, signed_at: Sequence[datetime], certified_at: datetime) -> Verifier:
        """A verifier that holds only what was valid at every time of `signed_at`, and the CT keys valid at `certified_at` (the SCT's time).

        Raises ProvenanceError (TrustExpired) when nothing of a kind was valid then.
        """

        def valid(windows: list[list[TimeRange]], times: Sequence[datetime]) -> tuple[int, ...]:
            return tuple(index for index, these in enumerate(windows) if all(_within(window, time) for window in these for time in times))

        logs = valid(self._log_windows, signed_at)
        authorities = valid(self._authority_windows, signed_at)
        ct_logs = valid(self._ct_windows, [certified_at])
        timestamping = valid(self._timestamping_windows, signed_at)
        for what, chosen in (("transparency log", logs), ("certificate authority", authorities), ("certificate transparency log", ct_logs)):
            if not chosen:
                times = ", ".join(sorted({time.isoformat() for time in signed_at}))
                raise ProvenanceError(Reason.TrustExpired, f"the trust root has no {what} that was valid when this was signed ({times})")
        return self._verifier((logs, authorities, ct_logs, timestamping))

    def issuers_of(self, certificate: Certificate) -> tuple[Certificate, ...]:
        """The chain that issued `certificate`, nearest first; empty when none of the trust root's did."""
        for authority in self._inner.certificate_authorities:
            chain = tuple(load_der_x509_certificate(each.raw_bytes) for each in authority.cert_chain.certificates)
            try:
                certificate.verify_directly_issued_by(chain[0])
            except (InvalidSignature, TypeError, ValueError):
                continue
            return chain
        return ()

    def _parts(
        self,
    ) -> tuple[
        list[models.TransparencyLogInstance], list[models.CertificateAuthority], list[models.TransparencyLogInstance], list[models.CertificateAuthority]
    ]:
        inner = self._inner
        return inner.tlogs, inner.certificate_authorities, inner.ctlogs, inner.timestamp_authorities

    def _verifier(self, choice: _Choice) -> Verifier:
        verifier = self._verifiers.get(choice)
        if verifier is None:
            logs, authorities, ct_logs, timestamping = choice
            inner = self._inner.model_copy(
                update={
                    "tlogs": [_without_window(self._inner.tlogs[index]) for index in logs],
                    "certificate_authorities": [_always_valid(self._inner.certificate_authorities[index]) for index in authorities],
                    "ctlogs": [_without_window(self._inner.ctlogs[index]) for index in ct_logs],
                    "timestamp_authorities": [_always_valid(self._inner.timestamp_authorities[index]) for index in timestamping],
                }
            )
            with closed(Reason.TrustRootMalformed, "the trusted root cannot be used"):
                verifier = Verifier(trusted_root=_ParsedRoot(inner))
            self._verifiers[choice] = verifier
            # Two threads may build the same verifier or drop one too many: both cost time only.
            while len(self._verifiers) > _CHOICES_KEPT:
                self._verifiers.popitem(last=False)
        return verifier


class _ParsedRoot(TrustedRoot):
    """The library's trusted root, parsed once: the library does it again for each bundle (its keyrings hold no state)."""

    def __init__(self, inner: models.TrustedRoot) -> None:
        super().__init__(inner)
        self._parsed: dict[str, Any] = {}

    def _once(self, what: str, parse: Callable[[], _Value]) -> _Value:
        if what not in self._parsed:
            self._parsed[what] = parse()
        return self._parsed[what]  # type: ignore[no-any-return]  # the dictionary holds several types, one per name

    def rekor_keyring(self, purpose: Any) -> Any:  # noqa: ANN401 - the library's types for both are internal to it
        return self._once(f"rekor {purpose}", lambda: super(_ParsedRoot, self).rekor_keyring(purpose))

    def ct_keyring(self, purpose: Any) -> Any:  # noqa: ANN401 - the library's types for both are internal to it
        return self._once(f"ct {purpose}", lambda: super(_ParsedRoot, self).ct_keyring(purpose))

    def get_timestamp_authorities(self) -> Any:  # noqa: ANN401 - the library's type is internal to it
        return self._once("timestamp authorities", super().get_timestamp_authorities)


def _refuse_second_spelling(document: JsonObject) -> None:
    """Refuse snake_case members anywhere: protobuf's JSON mapping knows two spellings of a field, and a field that is given twice has two values."""
    pending: list[object] = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            for key, child in value.items():
                if "_" in key:
                    raise ProvenanceError(Reason.TrustRootMalformed, f"member {key[:80]!r}: write fields in lowerCamelCase")
                pending.append(child)
        elif isinstance(value, list):
            pending.extend(value)


def _windows_of_log(log: models.TransparencyLogInstance) -> list[TimeRange]:
    """Its key's declared window; none means for ever."""
    return [] if log.public_key.valid_for is None else [log.public_key.valid_for]


def _refuse_local_time(window: TimeRange) -> None:
    for time in (window.start, window.end):
        if time is not None and time.tzinfo is None:
            raise ValueError(f"{time.isoformat()} has no time zone")


def _windows_of_authority(authority: models.CertificateAuthority) -> list[TimeRange]:
    """Its declared window and that of each certificate of its chain: the library takes them all as anchors, whatever their dates."""
    if not 1 <= len(authority.cert_chain.certificates) <= CHAIN_LIMIT:
        raise ValueError(f"a chain has {len(authority.cert_chain.certificates)} certificates; 1 to {CHAIN_LIMIT} are read")
    certificates = [load_der_x509_certificate(certificate.raw_bytes) for certificate in authority.cert_chain.certificates]
    return [authority.valid_for, *(TimeRange(start=each.not_valid_before_utc, end=each.not_valid_after_utc) for each in certificates)]


def _within(window: TimeRange, time: datetime) -> bool:
    """Both ends are inclusive, as the Sigstore protobuf specification says of `validFor`."""
    return window.start <= time and (window.end is None or time <= window.end)


def _without_window(log: models.TransparencyLogInstance) -> models.TransparencyLogInstance:
    return log.model_copy(update={"public_key": log.public_key.model_copy(update={"valid_for": None})})


def _always_valid(authority: models.CertificateAuthority) -> models.CertificateAuthority:
    return authority.model_copy(update={"valid_for": _ALWAYS})
