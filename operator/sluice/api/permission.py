"""What a release declares of its rights at the Kubernetes API, and which kinds of grants a policy holds against what is declared.

A permission has no wildcards: whoever needs "all" cannot say what is needed, and what is granted by a wildcard is more than anybody declared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import product
from typing import Annotated, NamedTuple

from pydantic import Field, StringConstraints

from sluice.api.base import LIST_SET, Line, Model


class GrantKind(StrEnum):
    """A kind of thing that a cluster grants a workload."""

    PERMISSIONS = "Permissions"
    """What RBAC lets its service account do."""
    SECRETS = "Secrets"
    """Secrets that its Pods mount or read into their environment."""
    TOKENS = "Tokens"
    """Tokens and certificates of its service account that its Pods mount, and how long they live."""
    EGRESS = "Egress"
    """What NetworkPolicies let its Pods reach."""


class PermissionScope(StrEnum):
    """Where a permission holds."""

    NAMESPACE = "Namespace"
    CLUSTER = "Cluster"


class SinglePermission(NamedTuple):
    """One verb on one resource, for one name or (None) all: what permissions are compared by."""

    verb: str
    api_group: str
    resource: str
    name: str | None
    scope: PermissionScope

    def __str__(self) -> str:
        """Say it in words."""
        of = f"{self.resource}.{self.api_group}" if self.api_group else self.resource
        return f"`{self.verb}` on `{of}`{f' named {self.name}' if self.name else ''} ({self.scope})"

    def within(self) -> Iterator[SinglePermission]:
        """Give every permission that includes this one, itself among them."""
        for name, scope in product({self.name, None}, {self.scope, PermissionScope.CLUSTER}):
            yield self._replace(name=name, scope=scope)


class Permission(Model):
    """Something the service account may do at the Kubernetes API."""

    api_group: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]*$", max_length=253)] = ""
    """API group; empty for the core group."""
    resource: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]+(/[a-z0-9.-]+)?$", max_length=253)]
    """Resource, or one with its subresource: `configmaps`, `pods/log`. No wildcards."""
    verbs: Annotated[
        list[Annotated[str, StringConstraints(pattern=r"^[a-z]+$", max_length=63)]], Field(min_length=1, max_length=16, json_schema_extra=LIST_SET)
    ]
    """What may be done with it: get, list, watch, create, … No wildcards."""
    names: Annotated[list[Line], Field(min_length=1, max_length=32, json_schema_extra=LIST_SET)] | None = None
    """Only objects of these names. Absent: all."""
    scope: PermissionScope = PermissionScope.NAMESPACE
    """Namespace: where its Pods run. Cluster: in every namespace, and for what is in none."""

    def single(self) -> Iterator[SinglePermission]:
        """Take it apart."""
        names: Sequence[str | None] = self.names or [None]
        for verb, name in product(self.verbs, names):
            yield SinglePermission(verb=verb, api_group=self.api_group, resource=self.resource, name=name, scope=self.scope)
