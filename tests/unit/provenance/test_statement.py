"""in-toto statements: which digests they speak of."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from e2e.sigstore import slsa_statement
from sluice.provenance.errors import Reason
from sluice.provenance.slsa import Dependency, parse_provenance
from sluice.provenance.statement import Statement, parse_statement
from tests.signing import Json, error_of

SHA = "a" * 64
BUILDER = "https://ci.example.com/runners/hosted"
GOOD = slsa_statement({"image": f"sha256:{SHA}"}, BUILDER, [("git+https://git.example.com/x", "gitCommit:" + "b" * 40)])


def parse(edit: Callable[[Json], object] = lambda _: None) -> Statement:
    document = json.loads(json.dumps(GOOD))
    edit(document)
    return parse_statement(json.dumps(document).encode())


def test_a_statement_says_its_type_and_subjects() -> None:
    statement = parse()
    assert statement.predicate_type == "https://slsa.dev/provenance/v1"
    assert [(each.name, each.sha256, each.digests) for each in statement.subjects] == [("image", f"sha256:{SHA}", frozenset({f"sha256:{SHA}"}))]


def test_digests_by_unknown_algorithms_are_left_out() -> None:
    statement = parse(lambda d: d["subject"][0]["digest"].update(md5="x", sha512="c" * 128))
    assert statement.subjects[0].digests == {f"sha256:{SHA}", "sha512:" + "c" * 128}


def test_a_subject_that_nothing_could_be_matched_with_is_left_out_and_the_others_are_not() -> None:
    """As in what forges sign about a release: its commit, and its files."""
    commit = {"uri": "pkg:github/x/y@v1", "digest": {"sha1": "b" * 40}}
    statement = parse(lambda d: d["subject"].insert(0, commit))
    assert ([each.sha256 for each in statement.subjects], statement.unmatched) == ([f"sha256:{SHA}"], 1)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda d: d.update(_type="https://in-toto.io/Statement/v2"), Reason.StatementMalformed),
        (lambda d: d.pop("_type"), Reason.StatementMalformed),
        (lambda d: d.update(predicateType=""), Reason.StatementMalformed),
        (lambda d: d.update(predicateType="a\nb"), Reason.StatementMalformed),
        (lambda d: d.update(predicateType=7), Reason.StatementMalformed),
        (lambda d: d.update(predicate=[]), Reason.StatementMalformed),
        (lambda d: d.pop("subject"), Reason.SubjectMissing),
        (lambda d: d.update(subject=[]), Reason.SubjectMissing),
        (lambda d: d.update(subject=["x"]), Reason.StatementMalformed),
        (lambda d: d.update(subject=d["subject"] * 1025), Reason.StatementMalformed),
        (lambda d: d["subject"][0].pop("digest"), Reason.SubjectMissing),
        (lambda d: d["subject"][0].update(digest={"sha512": "c" * 128}), Reason.SubjectMissing),
        (lambda d: d["subject"].append({"digest": {"sha256": 7}}), Reason.StatementMalformed),
        (lambda d: d["subject"].append({"name": 7}), Reason.StatementMalformed),
        (lambda d: d["subject"][0].update(digest={"sha256": SHA.upper()}), Reason.StatementMalformed),
        (lambda d: d["subject"][0].update(digest={"sha256": SHA + " "}), Reason.StatementMalformed),
        (lambda d: d["subject"][0].update(digest={"sha256": SHA[1:]}), Reason.StatementMalformed),
        (lambda d: d["subject"][0].update(digest={"sha256": "a" * 63 + "٣"}), Reason.StatementMalformed),
        (lambda d: d["subject"][0].update(digest={"sha256": None}), Reason.StatementMalformed),
        (lambda d: d["subject"][0].update(digest={str(each): "x" for each in range(20)}), Reason.StatementMalformed),
        (lambda d: d["subject"][0].update(name="n" * 3000), Reason.StatementMalformed),
    ],
)
def test_a_statement_is_refused_when_what_it_speaks_of_is_unclear(edit: Callable[[Json], object], reason: Reason) -> None:
    assert error_of(lambda: parse(edit)).reason is reason


@pytest.mark.parametrize("payload", [b"", b"[]", b"\xff", b'{"_type": "x", "_type": "y"}', b'{"a":' * 5000])
def test_a_payload_that_is_no_strict_json_object_is_refused(payload: bytes) -> None:
    assert error_of(lambda: parse_statement(payload)).reason is Reason.StatementMalformed


def test_provenance_says_builder_and_dependencies() -> None:
    provenance = parse_provenance(parse())
    assert provenance.builder_id == BUILDER
    assert provenance.dependencies == (Dependency(uri="git+https://git.example.com/x", digests=frozenset({"gitCommit:" + "b" * 40})),)


@pytest.mark.parametrize(("digits", "taken"), [(40, True), (64, True), (39, False), (41, False), (52, False), (63, False), (128, False)])
def test_a_commit_is_named_by_either_format_of_object_that_git_has(digits: int, *, taken: bool) -> None:
    def edit(document: Json) -> None:
        build(document)["resolvedDependencies"][0]["digest"] = {"gitCommit": "b" * digits}

    if taken:
        (dependency,) = parse_provenance(parse(edit)).dependencies
        assert dependency.digests == {"gitCommit:" + "b" * digits}
    else:
        error = error_of(lambda: parse_provenance(parse(edit)))
        assert "is not 40 or 64 lower-case hexadecimal digits" in str(error)


def build(document: Json) -> Json:
    return document["predicate"]["buildDefinition"]


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d.update(predicateType="https://slsa.dev/provenance/v0.1"),
        lambda d: d["predicate"].pop("runDetails"),
        lambda d: d["predicate"]["runDetails"]["builder"].pop("id"),
        lambda d: d["predicate"]["runDetails"]["builder"].update(id=""),
        lambda d: build(d).pop("buildType"),
        lambda d: build(d).update(resolvedDependencies=[{}] * 1025),
        lambda d: build(d).update(resolvedDependencies=[{"digest": {"sha256": "A" * 64}}]),
        lambda d: build(d).update(resolvedDependencies=[{"uri": 3}]),
        lambda d: build(d).update(resolvedDependencies={}),
    ],
)
def test_provenance_is_refused_when_it_does_not_say_who_built_what(edit: Callable[[Json], object]) -> None:
    assert error_of(lambda: parse_provenance(parse(edit))).reason is Reason.PredicateMalformed


def test_dependencies_without_uri_or_digest_are_kept_and_match_nothing() -> None:
    provenance = parse_provenance(parse(lambda d: build(d).update(resolvedDependencies=[{"name": "x"}])))
    assert provenance.dependencies == (Dependency(uri="", digests=frozenset()),)
