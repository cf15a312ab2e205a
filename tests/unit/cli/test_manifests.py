"""Manifests are read as kubectl reads them, and what a cluster would not take is no rehearsal."""

from __future__ import annotations

import pytest

from sluice.cli.manifests import ManifestRefused, check_rules, documents


@pytest.mark.parametrize("time", ["2026-01-01T00:00:00Z", "2026-01-01", "'2026-01-01'"])
def test_a_time_is_text_with_quotes_and_without(time: str) -> None:
    assert documents(f"since: {time}") == [{"since": time.strip("'")}]


def test_other_values_have_their_types() -> None:
    assert documents('{"a": 1, "b": true, "c": null, "d": 1.5}\n---\n- x\n') == [{"a": 1, "b": True, "c": None, "d": 1.5}, ["x"]]


def test_members_that_are_merged_in_may_be_written_over() -> None:
    assert documents("base: &b {x: 1, y: 2}\nmore: {<<: *b, x: 3}\n")[0]["more"] == {"x": 3, "y": 2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nspec:\n  revoked: []\n  revoked:\n  - x\n", "line 4: member 'revoked' is there twice"),
        ('{"a": 1, "a": 2}', "line 1: member 'a' is there twice"),
        ("a: 1\n\tb: 2\n", "neither YAML nor JSON: line 2, column 1: found a tab character"),
        ("a: !!python/name:os.system x", "neither YAML nor JSON: line 1, column 4: could not determine a constructor"),
        ("a: \x01", "neither YAML nor JSON: "),
        ("[" * 400, "neither YAML nor JSON: "),
        ("[" * 100_000, "neither YAML nor JSON: "),
    ],
)
def test_what_has_two_readings_or_none_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(ManifestRefused) as refused:
        documents(text)
    assert str(refused.value).startswith(said)


def test_of_many_broken_rules_some_are_told_and_the_others_counted() -> None:
    revoked = [{"type": "Key", "reason": "lost"}] * 5
    with pytest.raises(ManifestRefused, match=r"no cluster would take this TrustRoot: spec\.revoked\[0\]\.key: .*, and 2 more"):
        check_rules({"kind": "TrustRoot", "spec": {"keys": [{"name": "a", "pem": "x"}], "revoked": revoked}})
