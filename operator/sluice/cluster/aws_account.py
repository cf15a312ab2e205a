"""Whose name stands under requests to Amazon S3, and to whatever speaks as it does: AWS Signature Version 4, by the AWS Common Runtime.

Only the signature and the search for credentials are awscrt's; what is asked, whom and for how long is `cluster/bucket`'s. It is imported when an account is
looked for, so who keeps nothing in buckets pays nothing for it.

Limits: variables and profiles, which is what awscrt finds without asking anybody. What a machine or a Pod may do (instance metadata, web identity) is not
looked for: who runs beside others on a node must not borrow the node's rights.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Self

FOUND_WITHIN_SECONDS: Final = 10.0
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_REGIONS: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")


class NoAccount(Exception):
    """There are no credentials, or they cannot be used any more; the message repeats nothing of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Where credentials come from, each time that something is signed."""

    provider: Any = field(repr=False)
    """An `awscrt.auth.AwsCredentialsProvider`."""
    region: str
    """What the environment says about where buckets are, and S3; empty: nothing."""
    endpoint: str

    @classmethod
    def found(cls) -> Self:
        """Look into AWS_ACCESS_KEY_ID and the like, then into the profile. Raises NoAccount when there are no credentials in either."""
        from awscrt.auth import AwsCredentialsProvider  # noqa: PLC0415 - see above
        from awscrt.exceptions import AwsCrtError  # noqa: PLC0415

        providers = [AwsCredentialsProvider.new_environment()]
        # Without a file there is no such provider.
        with suppress(RuntimeError):
            providers.append(AwsCredentialsProvider.new_profile())
        provider = AwsCredentialsProvider.new_chain(providers)
        try:
            provider.get_credentials().result(FOUND_WITHIN_SECONDS)
        except (AwsCrtError, TimeoutError):
            raise NoAccount("there are no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE") from None
        return cls(provider=provider, region=_variable(_REGIONS), endpoint=_variable(_ENDPOINTS))

    async def signed(self, method: str, path: str, headers: Mapping[str, str], *, body_sha256: str, region: str) -> dict[str, str]:
        """`headers`, `Host` among them, with those that sign the request. `path` must need no escapes; `body_sha256` is in hex. Raises NoAccount."""
        from awscrt.auth import AwsSignatureType, AwsSignedBodyHeaderType, AwsSigningAlgorithm, AwsSigningConfig, aws_sign_request  # noqa: PLC0415 - see above
        from awscrt.exceptions import AwsCrtError  # noqa: PLC0415
        from awscrt.http import HttpHeaders, HttpRequest  # noqa: PLC0415

        # S3 signs paths as they are, unlike other services (S3 user guide, "Authenticating Requests").
        config = AwsSigningConfig(
            algorithm=AwsSigningAlgorithm.V4, signature_type=AwsSignatureType.HTTP_REQUEST_HEADERS, credentials_provider=self.provider, service="s3",
            region=region, use_double_uri_encode=False, should_normalize_uri_path=False, signed_body_value=body_sha256,
            signed_body_header_type=AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
        )  # fmt: skip
        try:
            signed = await asyncio.wrap_future(aws_sign_request(HttpRequest(method, path, HttpHeaders(list(headers.items()))), config))
        except AwsCrtError as error:
            raise NoAccount(f"the request cannot be signed: {str(error.name)[:100]}") from None
        return {str(name): str(value) for name, value in signed.headers}


def _variable(names: tuple[str, ...]) -> str:
    return next(filter(None, map(os.environ.get, names)), "")
