"""What documents say about models and datasets, and that they say nothing when they are not what they claim."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from e2e.sigstore.statements import statement, subject
from sluice.evidence.dataset import parse_dataset
from sluice.evidence.documents import REFERENCE, read_payload, read_references
from sluice.evidence.facts import OtherStatement, establish
from sluice.evidence.lineage import BillOfMaterials, Dataset, DatasetDescription, Ingredient, Making, Role, makings_of
from sluice.evidence.vsa import PREDICATE_TYPE as VSA
from sluice.evidence.vsa import VerificationSummary, parse_summary
from sluice.provenance.errors import Reason
from sluice.provenance.slsa import BuildProvenance, Dependency
from sluice.provenance.strict_json import canonical
from tests.signing import anchors, error_of, sign
from tests.unit.evidence import made
from tests.unit.evidence.made import BASE, DATA, FILE, MODEL, parsed

CYCLONEDX, SPDX, CROISSANT = "https://cyclonedx.org/bom", "https://spdx.dev/Document/v3", "http://mlcommons.org/croissant/1.0"
SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "dataset-statement.schema.json").read_text(encoding="utf-8"))
Edit = Callable[[Any], object]


def only(datasets: tuple[Dataset, ...]) -> Dataset:
    (dataset,) = datasets
    return dataset


def cyclonedx(edit: Edit = lambda _: None) -> BillOfMaterials:
    document = made.cyclonedx()
    edit(document)
    read = read_payload(parsed(CYCLONEDX, document))
    assert isinstance(read, BillOfMaterials)
    return read


def spdx(edit: Edit = lambda _: None) -> BillOfMaterials:
    document = made.spdx()
    edit(document["@graph"])
    read = read_payload(parsed(SPDX, document))
    assert isinstance(read, BillOfMaterials)
    return read


# Our own statement


def test_a_dataset_statement_says_licence_classes_and_scope_of_its_subject() -> None:
    assert only(parse_dataset(parsed(made.DATASET_TYPE, made.dataset(), DATA)).datasets) == Dataset(
        digests=frozenset({DATA}),
        name="churn 2026",
        licences=frozenset({"CC-BY-4.0"}),
        data_classes=frozenset({"CustomerRecords"}),
        collection_scope="contracts",
    )


BAD_DATASETS: list[dict[str, Any]] = [
    {"licences": []},
    {"licences": "CC-BY-4.0"},
    {"licences": [7]},
    {"licences": ["a\nb"]},
    {"licences": ["x"] * 65},
    {"dataClasses": None},
    {"dataClasses": ["x"] * 65},
    {"collection": {}},
    {"collection": {"scope": ""}},
    {"collection": {"scope": "x", "until": "2030"}},
    {"license": "MIT"},
    {"name": ""},
]


@pytest.mark.parametrize("changes", BAD_DATASETS)
def test_a_dataset_statement_that_leaves_something_open_is_refused(changes: dict[str, Any]) -> None:
    assert error_of(lambda: parse_dataset(parsed(made.DATASET_TYPE, made.dataset(**changes), DATA))).reason is Reason.PredicateMalformed


def test_the_published_schema_of_dataset_statements_agrees_with_what_is_read() -> None:
    jsonschema.validate(made.dataset(), SCHEMA)
    jsonschema.validate(made.dataset(dataClasses=[]), SCHEMA)
    # Characters that cannot be shown are beyond JSON schema.
    for changes in BAD_DATASETS[:3] + BAD_DATASETS[4:]:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(made.dataset(**changes), SCHEMA)


# Croissant


def test_croissant_says_licence_classes_and_files() -> None:
    read = read_payload(parsed(CROISSANT, made.croissant(), DATA))
    assert isinstance(read, DatasetDescription)
    dataset = only(read.datasets)
    assert (dataset.digests, dataset.licences, dataset.data_classes) == (frozenset({DATA, FILE}), frozenset({"CC-BY-4.0"}), frozenset({"CustomerRecords"}))
    assert dataset.collection_scope is None


@pytest.mark.parametrize(
    ("said", "licences"),
    [
        ("MIT", {"MIT"}),
        (["MIT", "https://spdx.org/licenses/0BSD"], {"MIT", "0BSD"}),
        ({"@type": "sc:CreativeWork", "url": "https://example.com/terms"}, {"https://example.com/terms"}),
        (None, None),
    ],
)
def test_croissant_spells_licences_in_several_ways(said: Any, licences: set[str] | None) -> None:  # noqa: ANN401 - JSON
    assert only(read_payload(parsed(CROISSANT, made.croissant(license=said), DATA)).datasets).licences == licences


def test_croissant_without_a_word_on_personal_data_has_not_said_that_there_is_none() -> None:
    silent = made.croissant()
    del silent["rai:personalSensitiveInformation"]
    assert only(read_payload(parsed(CROISSANT, silent, DATA)).datasets).data_classes is None


@pytest.mark.parametrize(
    "changes",
    [
        {"@type": "sc:Person"},
        {"conformsTo": "http://mlcommons.org/croissant/9"},
        {"conformsTo": 7},
        {"sc:license": "MIT"},
        {"license": {}},
        {"license": [7]},
        {"name": 7},
        {"distribution": ["x"]},
        {"distribution": [{"@type": "cr:FileObject", "sha256": "xyz"}]},
    ],
)
def test_croissant_that_is_none_or_is_ambiguous_is_refused(changes: dict[str, Any]) -> None:
    assert error_of(lambda: read_payload(parsed(CROISSANT, made.croissant(**changes), DATA))).reason is Reason.PredicateMalformed


# CycloneDX


def test_cyclonedx_says_what_a_model_was_made_of() -> None:
    bill = cyclonedx()
    assert bill.makings == (
        Making(
            products=frozenset({MODEL}),
            ingredients=(
                Ingredient(role=Role.DATASET, name="churn 2026", digests=frozenset({DATA})),
                Ingredient(role=Role.BASE_MODEL, name="base", digests=frozenset({BASE})),
                Ingredient(role=Role.ENVIRONMENT, name="torch", digests=frozenset()),
            ),
        ),
    )
    assert only(bill.datasets) == Dataset(
        digests=frozenset({DATA}),
        name="churn 2026",
        licences=frozenset({"CC-BY-4.0"}),
        data_classes=frozenset({"CustomerRecords", "internal"}),
        collection_scope=None,
    )


def test_a_dataset_that_a_model_card_names_by_word_only_stays_a_missing_link() -> None:
    bill = cyclonedx(
        lambda d: d["metadata"]["component"]["modelCard"]["modelParameters"].update(datasets=[{"type": "dataset", "name": "secret"}, {"ref": "?"}])
    )
    unknown = [ingredient for ingredient in bill.makings[0].ingredients if ingredient.role is Role.DATASET and not ingredient.digests]
    assert [ingredient.name for ingredient in unknown] == ["secret", "?"]


def test_the_subjects_are_the_main_component_only_when_that_is_a_model() -> None:
    assert cyclonedx(lambda d: d["metadata"]["component"].update(type="application")).makings == ()


def test_a_model_inside_a_bill_is_known_by_its_own_hash() -> None:
    inner = {"type": "machine-learning-model", "bom-ref": "inner", "name": "inner", "hashes": [{"alg": "SHA-256", "content": "5" * 64}]}
    bill = cyclonedx(lambda d: (d["components"][1].update(components=[inner]), d["dependencies"].append({"ref": "inner", "dependsOn": ["data"]})))
    assert [making.products for making in bill.makings] == [{MODEL}, {"sha256:" + "5" * 64}]


@pytest.mark.parametrize(
    ("kinds", "role"),
    [(["configuration"], Role.PARAMETERS), (["source-code"], Role.CODE), (["dataset"], Role.DATASET), (["configuration", "dataset"], Role.DATASET),
     ([], Role.DATASET)],
)  # fmt: skip
def test_data_is_a_dataset_unless_all_of_it_is_something_else(kinds: list[str], role: Role) -> None:
    def edit(document: Any) -> None:  # noqa: ANN401 - JSON
        document["metadata"]["component"]["modelCard"] = {}
        document["components"][0]["data"] = [{"type": kind} for kind in kinds]

    assert Ingredient(role=role, name="churn 2026", digests=frozenset({DATA})) in cyclonedx(edit).makings[0].ingredients


def test_a_component_of_another_type_and_a_reference_to_nothing_have_no_role() -> None:
    bill = cyclonedx(lambda d: (d["components"][1].update(type="file"), d["dependencies"][0]["dependsOn"].append("gone")))
    assert [ingredient.name for ingredient in bill.makings[0].ingredients if ingredient.role is None] == ["torch", "gone"]


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d.update(bomFormat="SPDX"),
        lambda d: d.update(specVersion="1.4"),
        lambda d: d["components"].append(dict(d["components"][0])),
        lambda d: d["components"][0]["hashes"][0].update(content="xyz"),
        lambda d: d["components"][0].update(hashes=[{"alg": "SHA-256"}]),
        lambda d: d["components"][0].update(licenses=[{}]),
        lambda d: d["components"][0].pop("name"),
        lambda d: d.update(components=d["components"][1:] * 5000),
        lambda d: d["metadata"]["component"].update(modelCard=[]),
        lambda d: d["metadata"]["component"]["pedigree"].update(ancestors={}),
        lambda d: d["dependencies"].append({"ref": "x", "dependsOn": "y"}),
    ],
)
def test_cyclonedx_that_cannot_be_read_is_refused(edit: Edit) -> None:
    assert error_of(lambda: cyclonedx(edit)).reason is Reason.PredicateMalformed


# SPDX


def test_spdx_says_what_a_model_was_made_of() -> None:
    bill = spdx()
    assert bill.makings == (
        Making(
            products=frozenset({MODEL}),
            ingredients=(
                Ingredient(role=Role.DATASET, name="churn 2026", digests=frozenset({DATA})),
                Ingredient(role=Role.ENVIRONMENT, name="torch", digests=frozenset()),
                Ingredient(role=Role.BASE_MODEL, name="base", digests=frozenset({BASE})),
            ),
        ),
    )
    dataset = only(bill.datasets)
    assert (dataset.digests, dataset.licences, dataset.data_classes) == (
        frozenset({DATA}),
        frozenset({"CC-BY-4.0"}),
        frozenset({"SensitivePersonalInformation"}),
    )


@pytest.mark.parametrize(("said", "classes"), [("no", frozenset()), ("noAssertion", None), (None, None)])
def test_spdx_without_an_assertion_on_personal_data_has_not_said_that_there_is_none(said: str | None, classes: frozenset[str] | None) -> None:
    assert only(spdx(lambda graph: graph[4].update(dataset_hasSensitivePersonalInformation=said)).datasets).data_classes == classes


def test_spdx_falls_back_to_the_declared_licence() -> None:
    assert only(spdx(lambda graph: graph.pop()).datasets).licences == frozenset({"MIT"})
    assert only(spdx(lambda graph: (graph.pop(), graph.pop())).datasets).licences is None


def test_spdx_reads_descent_from_both_ends() -> None:
    def turned(graph: Any) -> None:  # noqa: ANN401 - JSON
        graph[10].update({"relationshipType": "ancestorOf", "from": graph[3]["spdxId"], "to": graph[2]["spdxId"]})

    assert Ingredient(role=Role.BASE_MODEL, name="base", digests=frozenset({BASE})) in spdx(turned).makings[0].ingredients


def test_the_subjects_are_no_model_of_an_spdx_document_with_two_roots() -> None:
    assert spdx(lambda graph: graph[1]["rootElement"].append(graph[3]["spdxId"])).makings == ()


@pytest.mark.parametrize(
    ("element", "role"),
    [({"software_primaryPurpose": "model"}, Role.BASE_MODEL), ({"software_primaryPurpose": "source"}, Role.CODE),
     ({"software_primaryPurpose": "configuration"}, Role.PARAMETERS), ({"software_packageUrl": None}, None)],
)  # fmt: skip
def test_a_package_is_what_its_purpose_says(element: dict[str, Any], role: Role | None) -> None:
    bill = spdx(lambda graph: graph[6].update(element))
    assert Ingredient(role=role, name="torch", digests=frozenset()) in bill.makings[0].ingredients


@pytest.mark.parametrize(
    "edit",
    [
        lambda graph: graph.append(dict(graph[2])),
        lambda graph: graph[8].pop("to"),
        lambda graph: graph[8].pop("from"),
        lambda graph: graph[8].update(to=[7]),
        lambda graph: graph[4].update(verifiedUsing=[{"type": "Hash", "algorithm": "sha256", "hashValue": "x"}]),
        lambda graph: graph.extend([{}] * 5000),
        lambda graph: graph.append("x"),
    ],
)
def test_spdx_that_cannot_be_read_is_refused(edit: Edit) -> None:
    assert error_of(lambda: spdx(edit)).reason is Reason.PredicateMalformed


def test_spdx_of_another_version_is_refused() -> None:
    document = made.spdx() | {"@context": "https://spdx.org/rdf/4.0.0/spdx-context.jsonld"}
    assert error_of(lambda: read_payload(parsed(SPDX, document))).reason is Reason.PredicateMalformed


# Files that a statement names


def reference(*documents: bytes, about: str = MODEL) -> dict[str, Any]:
    named = [{"name": f"{index}", "digest": {"sha256": hashlib.sha256(content).hexdigest()}} for index, content in enumerate(documents)]
    return statement(REFERENCE, [subject("it", about)], {"attester": {"id": "https://ci.example.com"}, "references": named})


def test_a_document_may_be_a_file_that_the_statement_names() -> None:
    bill, sheet = canonical(made.cyclonedx()), canonical(made.spdx())
    fact = establish(sign(reference(bill, sheet)), {"a": bill, "b": sheet}, anchors())
    assert isinstance(fact.content, BillOfMaterials)
    assert len(fact.content.makings) == 2
    assert (fact.speaks_of, fact.leads_to) == (frozenset({MODEL, DATA}), frozenset({DATA, BASE}))


def test_a_croissant_file_is_about_the_subject_of_the_statement_that_names_it() -> None:
    file = canonical(made.croissant())
    fact = establish(sign(reference(file, about=DATA)), {"croissant.json": file}, anchors())
    assert isinstance(fact.content, DatasetDescription)
    assert fact.speaks_of == {DATA, FILE}


def test_a_reference_that_nothing_is_attached_to_says_nothing() -> None:
    assert isinstance(establish(sign(reference(b"{}")), {}, anchors()).content, OtherStatement)


def test_a_file_that_the_statement_does_not_name_is_refused() -> None:
    file = canonical(made.croissant())
    assert error_of(lambda: establish(sign(reference(file)), {"0": file + b" "}, anchors())).reason is Reason.AttachmentMismatch


@pytest.mark.parametrize("content", [b"{}", b"[]", b"\xff", b'{"bomFormat": "CycloneDX"}'])
def test_a_file_of_no_known_format_is_refused(content: bytes) -> None:
    about = parsed(REFERENCE, reference(content)["predicate"])
    assert error_of(lambda: read_references(about, {"0": content})).reason is Reason.PredicateMalformed


def test_a_dataset_and_a_bill_in_one_statement_are_refused() -> None:
    files = [canonical(made.croissant()), canonical(made.cyclonedx())]
    about = parsed(REFERENCE, reference(*files)["predicate"])
    assert error_of(lambda: read_references(about, {str(index): file for index, file in enumerate(files)})).reason is Reason.PredicateMalformed


# Verification summaries

SUMMARY = {
    "verifier": {"id": "https://verifier.example.com"},
    "timeVerified": "2026-11-20T12:00:00Z",
    "resourceUri": "pkg:oci/server",
    "policy": {"uri": "https://policies.example.com/1"},
    "verificationResult": "PASSED",
    "verifiedLevels": ["SLSA_BUILD_LEVEL_3"],
}


def test_a_summary_says_who_verified_what_and_what_it_came_to() -> None:
    assert parse_summary(parsed(VSA, SUMMARY)) == VerificationSummary(
        verifier="https://verifier.example.com", resource="pkg:oci/server", policy="https://policies.example.com/1", passed=True,
        levels=frozenset({"SLSA_BUILD_LEVEL_3"}),
    )  # fmt: skip
    assert not parse_summary(parsed(VSA, SUMMARY | {"verificationResult": "FAILED"})).passed


@pytest.mark.parametrize(
    "changes",
    [
        {"verificationResult": "passed"},
        {"verificationResult": True},
        {"verifier": {}},
        {"verifier": "x"},
        {"verifiedLevels": None},
        {"verifiedLevels": ["x"] * 65},
        {"resourceUri": ""},
        {"policy": None},
    ],
)
def test_a_summary_that_leaves_something_open_is_refused(changes: dict[str, Any]) -> None:
    assert error_of(lambda: parse_summary(parsed(VSA, SUMMARY | changes))).reason is Reason.PredicateMalformed


# Provenance


@pytest.mark.parametrize(
    ("dependency", "role"),
    [
        (Dependency(uri="s3://x", digests=frozenset({DATA}), role="Dataset"), Role.DATASET),
        (Dependency(uri="git+https://git.example.com/x", digests=frozenset(), role="Dataset"), Role.DATASET),
        (Dependency(uri="git+https://git.example.com/x", digests=frozenset()), Role.CODE),
        (Dependency(uri="", digests=frozenset({"gitCommit:" + "a" * 40})), Role.CODE),
        (Dependency(uri="pkg:pypi/torch@2.9.0", digests=frozenset()), Role.ENVIRONMENT),
        (Dependency(uri="s3://x", digests=frozenset({DATA})), None),
        (Dependency(uri="pkg:pypi/torch@2.9.0", digests=frozenset(), role="dataset"), None),
    ],
)
def test_a_dependency_is_what_its_signer_or_its_address_says(dependency: Dependency, role: Role | None) -> None:
    content = BuildProvenance(builder_id="b", build_type="t", dependencies=(dependency,))
    assert [ingredient.role for making in makings_of(content, frozenset({MODEL})) for ingredient in making.ingredients] == [role]
