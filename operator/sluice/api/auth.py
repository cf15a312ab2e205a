"""How a request to a model server is authenticated: by a token in a Secret, which no resource and no log repeats."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from sluice.api.base import Model, Name


class SecretKeyRef(Model):
    """A key of a Secret in the namespace of the release."""

    name: Name
    """Name of the Secret."""
    key: Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)]
    """Key in it."""


class Auth(Model):
    """How requests are authenticated."""

    secret_ref: SecretKeyRef
    """Where the bearer token is."""
