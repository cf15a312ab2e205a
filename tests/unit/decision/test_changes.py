"""Each security change in both directions: what makes it, and what looks alike and does not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sluice.api.release import Authority, ReleaseSpec
from sluice.api.trigger import SecurityChange
from sluice.decision.changes import COMPARISONS, changes_between
from tests.unit.decision import case as c

Authorities = dict[str, Any]
OLD: Authorities = {
    "serviceAccount": "churn",
    "tools": [{"name": "crm.read", "effect": "Read"}, {"name": "offer", "effect": "Write"}],
    "dataClasses": ["CustomerRecords"],
    "secrets": [{"name": "crm-token", "maxLifetime": "1h"}],
    "egress": [{"host": "crm.example.com", "port": 443}],
    "permissions": [{"resource": "configmaps", "verbs": ["get", "list"], "names": ["features"]}],
    "tokenLifetime": "1h",
    "contextWindow": 8192,
    "safetyFilters": [{"name": "pii", "digest": c.digest_of("pii")}],
}
READS: Authorities = {"resource": "configmaps", "verbs": ["get"], "names": ["features"]}


def spec(authority: Authorities | None = None, *, type_: str = "Quantize", vendor: dict[str, str] | None = None) -> ReleaseSpec:
    made = c.release_spec() | {"authority": authority, "change": {"type": type_, "baseline": {"name": "churn-2-0-0"}}, "vendor": vendor}
    return ReleaseSpec.model_validate({name: value for name, value in made.items() if value is not None})


def found(old: Authorities, new: Authorities | None) -> dict[str, str]:
    return {change.kind: change.detail for change in changes_between(spec(new), spec(old))}


WIDER: list[tuple[str, Authorities, str]] = [
    ("ToolAdded", {"tools": [*OLD["tools"], {"name": "refund", "effect": "Read"}]}, "tool refund is new, effect Read"),
    ("ToolEffectWidened", {"tools": [{"name": "crm.read", "effect": "Admin"}, OLD["tools"][1]]}, "tool crm.read: effect Read → Admin"),
    ("DataClassAdded", {"dataClasses": ["CustomerRecords", "Payments"]}, "data class Payments is new"),
    ("SecretAdded", {"secrets": [*OLD["secrets"], {"name": "other", "maxLifetime": "1m"}]}, "secret other is new"),
    ("SecretLifetimeGrown", {"secrets": [{"name": "crm-token", "maxLifetime": "61m"}]}, "secret crm-token: longest lifetime 1h → 61m"),
    ("SecretLifetimeGrown", {"secrets": [{"name": "crm-token"}]}, "secret crm-token: longest lifetime 1h → not limited"),
    ("ServiceAccountChanged", {"serviceAccount": "admin"}, "service account churn → admin"),
    ("ServiceAccountChanged", {"serviceAccount": None}, "service account churn → any"),
    ("EgressWidened", {"egress": [*OLD["egress"], {"host": "crm.example.com", "port": 80}]}, "destination crm.example.com:80 is new"),
    ("EgressWidened", {"egress": [{"host": "*.example.com", "port": 443}]}, "destination *.example.com:443 is new"),
    ("EgressWidened", {"egress": [OLD["egress"][0] | {"addresses": ["10.1.2.0/24"]}]}, "destination crm.example.com:443 may be 10.1.2.0/24"),
    ("EgressWidened", {"egress": [OLD["egress"][0] | {"namespace": "crm"}]}, "destination crm.example.com:443 may be in namespace crm"),
    ("PermissionAdded", {"permissions": [{"resource": "pods", "verbs": ["get"]}]}, "permission `get` on `pods` (Namespace) is new"),
    ("PermissionAdded", {"permissions": [READS | {"verbs": ["get", "watch"]}]}, "permission `watch` on `configmaps` named features (Namespace) is new"),
    ("PermissionAdded", {"permissions": [READS | {"names": ["other"]}]}, "permission `get` on `configmaps` named other (Namespace) is new"),
    ("PermissionAdded", {"permissions": [READS | {"names": None}]}, "permission `get` on `configmaps` (Namespace) is new"),
    ("PermissionAdded", {"permissions": [READS | {"scope": "Cluster"}]}, "permission `get` on `configmaps` named features (Cluster) is new"),
    ("PermissionAdded", {"permissions": [READS | {"apiGroup": "apps"}]}, "permission `get` on `configmaps.apps` named features (Namespace) is new"),
    ("TokenLifetimeGrown", {"tokenLifetime": "61m"}, "longest lifetime of tokens 1h → 61m"),
    ("ContextWindowGrown", {"contextWindow": 8193}, "context window 8192 → 8193"),
    ("ContextWindowGrown", {"contextWindow": None}, "context window 8192 → not limited"),
    ("SafetyFilterChanged", {"safetyFilters": []}, f"safety filter pii: {c.digest_of('pii')} → none"),
    ("SafetyFilterChanged", {"safetyFilters": [{"name": "pii", "digest": c.digest_of("x")}]}, f"safety filter pii: {c.digest_of('pii')} → {c.digest_of('x')}"),
    ("SafetyFilterChanged", {"safetyFilters": [*OLD["safetyFilters"], {"name": "new", "digest": c.digest_of("x")}]}, "safety filter new: none → "),
]
NOT_WIDER: list[Authorities] = [
    {"tools": []},
    {"tools": [OLD["tools"][1], OLD["tools"][0]]},
    {"tools": [OLD["tools"][0], {"name": "offer", "effect": "Read"}]},
    {"dataClasses": []},
    {"secrets": []},
    {"secrets": [{"name": "crm-token", "maxLifetime": "60m"}]},
    {"secrets": [{"name": "crm-token", "maxLifetime": "59m"}]},
    {"egress": []},
    {"egress": [{"host": "CRM.example.com", "port": 443}]},
    {"permissions": None},
    {"permissions": [{"resource": "configmaps", "verbs": ["list"], "names": ["features"]}]},
    {"tokenLifetime": "60m"},
    {"tokenLifetime": None},
    {"contextWindow": 8192},
    {"contextWindow": 1},
]


@pytest.mark.parametrize(("kind", "changed", "says"), WIDER)
def test_what_is_wider_is_found_alone_and_said_in_words(kind: str, changed: Authorities, says: str) -> None:
    changes = found(OLD, OLD | changed)
    assert set(changes) == {kind}
    assert changes[kind].startswith(says)


def test_a_permission_within_a_wider_one_and_a_token_where_there_was_none() -> None:
    wide = OLD | {"permissions": [{"resource": "configmaps", "verbs": ["get", "list"], "scope": "Cluster"}]}
    assert found(wide, OLD) == {}
    assert found(OLD | {"tokenLifetime": None}, OLD) == {"TokenLifetimeGrown": "longest lifetime of tokens none → 1h"}


@pytest.mark.parametrize("changed", NOT_WIDER)
def test_what_is_the_same_or_narrower_is_no_change(changed: Authorities) -> None:
    assert found(OLD, OLD | changed) == {}


def test_a_release_of_the_same_authority_keeps_the_light_path() -> None:
    assert found(OLD, OLD) == {}


ACME = {"name": "Acme", "model": "large", "version": "3"}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (None, ACME, "nobody else ran it → large by Acme, version 3"),
        (ACME, ACME | {"name": "Other"}, "large by Acme, version 3 → large by Other, version 3"),
        (ACME, ACME | {"model": "small"}, "large by Acme, version 3 → small by Acme, version 3"),
        (ACME, {"name": "Acme", "model": "large"}, "large by Acme, version 3 → large by Acme"),
        (ACME, ACME, None),
        (ACME, None, None),
    ],
)
def test_another_vendor_or_model_of_it_is_a_change_of_vendor(old: dict[str, str] | None, new: dict[str, str] | None, says: str | None) -> None:
    changes = changes_between(spec(OLD, vendor=new), spec(OLD, vendor=old))
    assert [(change.kind, change.detail) for change in changes] == ([("VendorChanged", says)] if says else [])


def test_a_change_of_type_vendor_is_one_whatever_the_release_names() -> None:
    assert [change.kind for change in changes_between(spec(OLD, type_="Vendor"), spec(OLD))] == ["VendorChanged"]
    assert [change.kind for change in changes_between(spec(OLD, vendor=ACME), None)][-1] == "VendorChanged"


def test_a_release_that_leaves_its_authority_out_has_given_up_what_limited_it() -> None:
    assert set(found(OLD, None)) == {"ServiceAccountChanged", "ContextWindowGrown", "SafetyFilterChanged"}


def test_of_two_entries_of_one_name_the_wider_counts_for_the_release_and_the_narrower_for_its_baseline() -> None:
    twice = {"tools": [{"name": "offer", "effect": "Read"}, {"name": "offer", "effect": "Write"}]}
    assert set(found(OLD | {"tools": twice["tools"]}, OLD)) == {"ToolAdded", "ToolEffectWidened"}
    assert found(OLD | twice, OLD | {"tools": [{"name": "offer", "effect": "Read"}]}) == {}


def test_without_a_baseline_all_that_a_release_holds_is_a_change() -> None:
    kinds = {change.kind for change in changes_between(spec(OLD), None)}
    assert kinds == {*SecurityChange} - {SecurityChange.REFUSAL_LOWERED, SecurityChange.VENDOR_CHANGED}
    assert {change.kind for change in changes_between(spec(None), None)} == {
        "FirstRelease",
        "ServiceAccountChanged",
        "ContextWindowGrown",
        "SafetyFilterChanged",
    }


def test_every_change_and_every_field_of_authority_is_tried_above() -> None:
    tried = {kind for kind, _, _ in WIDER}
    assert tried == {*COMPARISONS} - {SecurityChange.FIRST_RELEASE, SecurityChange.VENDOR_CHANGED}
    assert {*COMPARISONS} == {*SecurityChange} - {SecurityChange.REFUSAL_LOWERED}
    fields = {info.alias for info in Authority.model_fields.values()}
    assert {field for _, changed, _ in WIDER for field in changed} == fields
    assert set(OLD) == fields


def test_the_page_on_risk_says_of_every_change_what_fires_it() -> None:
    page = (Path(__file__).parents[3] / "docs" / "risk.md").read_text()
    assert re.findall(r"^\| `([A-Z]\w+)` \|", page, re.MULTILINE) == list(SecurityChange)
