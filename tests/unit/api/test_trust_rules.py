"""The rules that the API server evaluates on the authorities of a private PKI, evaluated here: none that could never count, none that asks nobody."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import pytest
from cel_expr_python import cel

from sluice.api.crd import crd
from sluice.api.kinds import KINDS


@cache
def rules(field: str) -> tuple[tuple[cel.Expression, str], ...]:
    """The compiled rules of a TrustRoot's spec, or of one of its fields, each with its message."""
    (kind,) = (kind for kind in KINDS if kind.name == "TrustRoot")
    schema = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    found = schema["properties"][field] if field else schema
    environment = cel.NewEnv(variables={"self": cel.Type.DYN})
    return tuple((environment.compile(rule["rule"]), rule["message"]) for rule in found["x-kubernetes-validations"])


def refusals(value: dict[str, Any], field: str = "certificateAuthorities") -> list[str]:
    return [message for rule, message in rules(field) if not rule.eval(data={"self": value}).value()]


@pytest.mark.parametrize(("dated", "undated", "timestamps"), list(product([False, True], [None, "Refuse", "Accept"], [None, 0, 1, 8])))
def test_a_signature_can_count_and_who_has_to_date_it_is_there(dated: bool, undated: str | None, timestamps: int | None) -> None:
    value = {"pem": "x", "timestampPem": "y" if dated else None, "undated": undated, "timestamps": timestamps}
    found = refusals({name: given for name, given in value.items() if given is not None})
    assert [message[:17] for message in found] == [
        *(["give timestampPem"] if not dated and undated != "Accept" else []),
        *(["timestamps needs "] if not dated and timestamps else []),
    ]


def test_a_trust_root_is_of_exactly_one_kind() -> None:
    kinds = {"sigstore": {"trustedRoot": "{}"}, "keys": [{"name": "k", "pem": "x"}], "certificateAuthorities": {"pem": "x", "undated": "Accept"}}
    for chosen in product([False, True], repeat=3):
        value = {name: given for (name, given), taken in zip(kinds.items(), chosen, strict=True) if taken}
        assert (refusals(value, "") == []) is (sum(chosen) == 1)
