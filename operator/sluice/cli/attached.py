"""Bundles that are attached to an image in its registry, for a person who asks about it: found and fetched as the controller does, by the same code.

The registry is the one that the image names, whatever its address: the person named it. Where it sends us on to has to be public and https all the same, and
the account goes nowhere else. What is found is believed no more than a file that somebody sent.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import ssl

    from sluice.cluster.fetching import NotFetched
    from sluice.cluster.outbound import Reference
    from sluice.cluster.registry_login import Credentials

ALL_SECONDS: Final = 60.0
"""For one image: the list, and at most 32 bundles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """What refers to an image, in the order of the digests, with the bundle or why it is not here; `more`: there are others that were not looked at."""

    found: tuple[tuple[Reference, bytes | NotFetched], ...]
    more: bool


def is_loopback(host: str) -> bool:
    """Whether `host`, with or without its port, is this machine: what is said there goes over no wire."""
    name = host.rpartition(":")[0] or host
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name.lower() == "localhost"


async def attached(image: Reference, credentials: Credentials | None, *, plain_http: bool, tls: ssl.SSLContext | None) -> Attached:
    """Find the bundles that refer to `image` and fetch them. Raises NotFetched where the registry gives no list, and TimeoutError."""
    from sluice.cluster.fetching import NotFetched, Registries  # noqa: PLC0415 - see the package
    from sluice.cluster.outbound import ListedRegistry, Outbound  # noqa: PLC0415
    from sluice.cluster.referrers import fetch_bundle, list_bundles  # noqa: PLC0415

    async with asyncio.timeout(ALL_SECONDS), Registries(Outbound([ListedRegistry(host=image.host, plain_http=plain_http)]), tls=tls) as registries:
        repository = registries.repository(image, credentials)
        listed = await list_bundles(repository, image)

        async def fetched(reference: Reference) -> tuple[Reference, bytes | NotFetched]:
            try:
                return reference, await fetch_bundle(repository, reference)
            except NotFetched as error:
                return reference, error

        return Attached(found=tuple(await asyncio.gather(*map(fetched, listed.found))), more=listed.more)
