"""Provenance of both versions comes to the same, and what the person who started the build typed is kept as it was typed."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from e2e.sigstore import slsa_statement
from sluice.provenance.errors import Reason
from sluice.provenance.slsa import PARAMETER_LIMIT, PREDICATE_TYPE_V02, BuildProvenance, Dependency, parse_provenance
from sluice.provenance.statement import parse_statement
from tests.signing import Json, error_of

SHA, COMMIT = "a" * 64, "b" * 40
BUILDER = "https://ci.example.com/runners/hosted"
GIT = "git+https://git.example.com/x@refs/heads/main"
OLD = {
    "_type": "https://in-toto.io/Statement/v0.1",
    "subject": [{"name": "image", "digest": {"sha256": SHA}}],
    "predicateType": PREDICATE_TYPE_V02,
    "predicate": {
        "builder": {"id": BUILDER},
        "buildType": "https://ci.example.com/build/v1",
        "invocation": {"configSource": {"uri": GIT, "entryPoint": "train.yml"}, "parameters": {"epochs": 3}, "environment": {"runner": "7"}},
        "metadata": {"buildInvocationId": "https://ci.example.com/runs/1"},
        "materials": [{"uri": GIT, "digest": {"sha1": COMMIT}}, {"uri": "https://data.example.com/x", "digest": {"sha256": SHA, "sha1": COMMIT}}],
    },
}


def parse(document: Json, edit: Callable[[Json], object] = lambda _: None) -> BuildProvenance:
    copy = json.loads(json.dumps(document))
    edit(copy)
    return parse_provenance(parse_statement(json.dumps(copy).encode()))


def with_parameters(parameters: Json) -> BuildProvenance:
    return parse(slsa_statement({"x": f"sha256:{SHA}"}, BUILDER), lambda d: d["predicate"]["buildDefinition"].update(externalParameters=parameters))


def test_version_02_says_the_same_in_other_words() -> None:
    assert parse(OLD) == BuildProvenance(
        builder_id=BUILDER,
        build_type="https://ci.example.com/build/v1",
        dependencies=(
            Dependency(uri=GIT, digests=frozenset({f"gitCommit:{COMMIT}"})),
            Dependency(uri="https://data.example.com/x", digests=frozenset({f"sha256:{SHA}"})),
        ),
        run="https://ci.example.com/runs/1",
        external_parameters=(("/configSource/entryPoint", "train.yml"), ("/configSource/uri", GIT), ("/parameters/epochs", "3")),
    )


def test_a_dependency_says_by_annotation_what_it_was() -> None:
    statement = slsa_statement({"x": f"sha256:{SHA}"}, BUILDER, [("s3://data", f"sha256:{SHA}")])
    statement["predicate"]["buildDefinition"]["resolvedDependencies"][0]["annotations"] = {"sluice.dev/role": "Dataset"}
    assert [each.role for each in parse(statement).dependencies] == ["Dataset"]


@pytest.mark.parametrize(
    ("parameters", "leaves"),
    [
        ({}, ()),
        ({"workflow": {"ref": "main", "path": "x"}}, (("/workflow/path", "x"), ("/workflow/ref", "main"))),
        ({"a/b": {"c~d": 1}}, (("/a~1b/c~0d", "1"),)),
        ({"on": True, "off": None, "list": [1, "1"]}, (("/list/0", "1"), ("/list/1", "1"), ("/off", "null"), ("/on", "true"))),
        ({"empty": {}, "none": []}, (("/empty", "{}"), ("/none", "[]"))),
    ],
)
def test_external_parameters_are_their_leaves(parameters: Json, leaves: tuple[tuple[str, str], ...]) -> None:
    assert with_parameters(parameters).external_parameters == leaves


@pytest.mark.parametrize("parameters", [{"x": list(range(PARAMETER_LIMIT + 1))}, {"x": "y" * 70_000}, ["x"]])
def test_external_parameters_are_bounded(parameters: Json) -> None:
    assert error_of(lambda: with_parameters(parameters)).reason is Reason.PredicateMalformed


@pytest.mark.parametrize(
    "edit",
    [
        lambda p: p.pop("builder"),
        lambda p: p["builder"].update(id=""),
        lambda p: p.pop("buildType"),
        lambda p: p.update(materials=[{}] * 1025),
        lambda p: p.update(materials={}),
        lambda p: p.update(invocation=[]),
        lambda p: p.update(metadata=[]),
        lambda p: p["metadata"].update(buildInvocationId=7),
        lambda p: p["materials"][0]["digest"].update(sha1="B" * 40),
        lambda p: p["materials"][0]["digest"].update(sha1="b" * 39),
        lambda p: p["materials"][0]["digest"].update(sha1="b" * 64),
        lambda p: p["materials"][0].update(digest=[]),
    ],
)
def test_version_02_is_refused_when_it_does_not_say_who_built_what(edit: Callable[[Json], object]) -> None:
    assert error_of(lambda: parse(OLD, lambda d: edit(d["predicate"]))).reason is Reason.PredicateMalformed
