"""Credentials that a Pod brings into its containers: Secrets, tokens of its service account, certificates; and whether the release declares them.

What the node uses itself is not looked at: pull secrets, credentials of a storage driver. What an agent in the Pod fetches on its own is nothing that a Pod
shows: it needs egress, or a permission, and is found there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sluice.api.durations import parse_duration

if TYPE_CHECKING:
    from sluice.api.release import Authority

_TOKEN_SECONDS: Final = 3600
"""Where a projected token says nothing."""
_CERTIFICATE_SECONDS: Final = 86_400
"""Where a projected certificate says nothing."""
_AUTOMOUNTED_SECONDS: Final = 3607
"""Exactly this is what automounted tokens ask for; the API server makes them valid for a year (`--service-account-extend-token-expiration`, on by default).
A token for another audience it leaves alone, but which audiences are its own no Pod shows."""
_EXTENDED: Final = timedelta(days=365)
_STORE_DRIVER: Final = "secrets-store.csi.k8s.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One credential and the field that brings it: a Secret by name, or something that lives for `seconds`."""

    path: str
    secret: str | None = None
    seconds: int | None = None

    @property
    def lifetime(self) -> timedelta:
        """How long a token or certificate can live."""
        return _EXTENDED if self.seconds == _AUTOMOUNTED_SECONDS else timedelta(seconds=self.seconds or 0)


def credentials_of(spec: Mapping[str, Any], containers: tuple[str, ...]) -> Iterator[Credential]:
    """Read what a Pod brings in. Raises TypeError, KeyError, AttributeError: it has not the form of a Pod."""
    for volume in spec.get("volumes") or ():
        yield from _of_volume(volume, f"spec.volumes[{volume['name']}]")
    for field in containers:
        for container in spec.get(field) or ():
            path = f"spec.{field}[{container['name']}]"
            for variable in container.get("env") or ():
                if key := (variable.get("valueFrom") or {}).get("secretKeyRef"):
                    yield Credential(path=f"{path}.env[{variable['name']}]", secret=str(key.get("name") or ""))
            for number, source in enumerate(container.get("envFrom") or ()):
                if (reference := source.get("secretRef")) is not None:
                    yield Credential(path=f"{path}.envFrom[{number}].secretRef", secret=str(reference.get("name") or ""))


def excess_credential(credentials: tuple[Credential, ...], authority: Authority, *, secrets: bool, tokens: bool) -> str | None:
    """Say which field brings in more than is declared; None when none does. `secrets`, `tokens`: what is asked about."""
    names = {secret.name for secret in authority.secrets}
    longest = parse_duration(authority.token_lifetime) if authority.token_lifetime else None
    for credential in credentials:
        if credential.secret is not None:
            if secrets and credential.secret not in names:
                return f"{credential.path} brings in Secret {credential.secret}, which spec.authority.secrets does not declare"
        elif tokens and (longest is None or credential.lifetime > longest):
            year = "; the API server makes an automounted token valid for a year" if credential.lifetime is _EXTENDED else ""
            declared = f"declares at most {authority.token_lifetime}" if longest is not None else "declares no tokenLifetime, so none is mounted"
            return f"{credential.path} brings in a token or certificate for {credential.seconds} s{year}; spec.authority {declared}"
    return None


def _of_volume(volume: Mapping[str, Any], path: str) -> Iterator[Credential]:
    if (secret := volume.get("secret")) is not None:
        yield Credential(path=f"{path}.secret", secret=str(secret.get("secretName") or ""))
    if (driver := volume.get("csi")) is not None and driver.get("driver") == _STORE_DRIVER:
        # What it mounts comes from elsewhere, and is declared by the name of the class that says what.
        yield Credential(path=f"{path}.csi", secret=str((driver.get("volumeAttributes") or {}).get("secretProviderClass") or ""))
    for number, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
        at = f"{path}.projected.sources[{number}]"
        if (secret := source.get("secret")) is not None:
            yield Credential(path=f"{at}.secret", secret=str(secret.get("name") or ""))
        if (token := source.get("serviceAccountToken")) is not None:
            yield Credential(path=f"{at}.serviceAccountToken", seconds=_seconds(token.get("expirationSeconds"), _TOKEN_SECONDS))
        if (certificate := source.get("podCertificate")) is not None:
            yield Credential(path=f"{at}.podCertificate", seconds=_seconds(certificate.get("maxExpirationSeconds"), _CERTIFICATE_SECONDS))


def _seconds(value: object, default: int) -> int:
    if value is not None and not isinstance(value, int):
        raise TypeError(f"{str(value)[:40]!r} is no number of seconds")
    return default if value is None else value
