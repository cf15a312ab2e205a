"""Documents that describe models and datasets, as their tools write them, about one model that was trained on one dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from e2e.sigstore.statements import statement, subject
from sluice.provenance.digests import sha256_of
from sluice.provenance.statement import Statement, parse_statement
from sluice.provenance.strict_json import canonical

MODEL, DATA, BASE, FILE = ("sha256:" + digit * 64 for digit in "1234")
DATASET_TYPE = "https://sluice.dev/dataset/v1"


def hex_of(digest: str) -> str:
    """The digits of a digest."""
    return digest.partition(":")[2]


def parsed(predicate_type: str, predicate: dict[str, Any], about: str = MODEL) -> Statement:
    """A statement as it comes out of an envelope."""
    return parse_statement(canonical(statement(predicate_type, [subject("it", about)], predicate)))


def dataset(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - members of the predicate
    """The predicate of our own statement about a dataset."""
    return {"name": "churn 2026", "licences": ["CC-BY-4.0"], "dataClasses": ["CustomerRecords"], "collection": {"scope": "contracts"}} | changes


def croissant(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - members of the document
    """A Croissant file with one file in it."""
    return {
        "@context": {"@vocab": "https://schema.org/", "sc": "https://schema.org/", "cr": "http://mlcommons.org/croissant/"},
        "@type": "sc:Dataset",
        "name": "churn 2026",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": "https://spdx.org/licenses/CC-BY-4.0.html",
        "rai:personalSensitiveInformation": ["CustomerRecords"],
        "distribution": [
            {"@type": "cr:FileObject", "@id": "churn.csv", "contentUrl": "churn.csv", "encodingFormat": "text/csv", "sha256": hex_of(FILE)},
            {"@type": "cr:FileSet", "@id": "parts", "includes": "*.csv"},
        ],
    } | changes


def cyclonedx() -> dict[str, Any]:
    """A CycloneDX ML-BOM: a model with its card, a dataset, a base model and a library."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "machine-learning-model",
                "bom-ref": "model",
                "name": "churn",
                "modelCard": {"modelParameters": {"task": "classification", "datasets": [{"ref": "data"}]}},
                "pedigree": {
                    "ancestors": [{"type": "machine-learning-model", "name": "base", "hashes": [{"alg": "SHA-256", "content": hex_of(BASE)}]}],
                },
            }
        },
        "components": [
            {
                "type": "data",
                "bom-ref": "data",
                "name": "churn 2026",
                "hashes": [{"alg": "SHA-256", "content": hex_of(DATA).upper()}, {"alg": "MD5", "content": "0" * 32}],
                "licenses": [{"license": {"id": "CC-BY-4.0"}}],
                "data": [{"type": "dataset", "name": "churn", "classification": "internal", "sensitiveData": ["CustomerRecords"]}],
            },
            {"type": "library", "bom-ref": "torch", "name": "torch", "purl": "pkg:pypi/torch@2.9.0"},
        ],
        "dependencies": [{"ref": "model", "dependsOn": ["torch", "data"]}, {"ref": "torch"}],
    }


def spdx() -> dict[str, Any]:
    """An SPDX 3 document with the AI and the Dataset profile."""
    at = "https://example.com/doc#"
    hashes = {name: [{"type": "Hash", "algorithm": "sha256", "hashValue": hex_of(digest)}] for name, digest in (("data", DATA), ("base", BASE))}

    def related(number: int, kind: str, origin: str, *targets: str) -> dict[str, Any]:
        ends = {"from": at + origin, "to": [target if ":" in target else at + target for target in targets]}
        return {"type": "Relationship", "spdxId": f"{at}r{number}", "creationInfo": "_:c", "relationshipType": kind} | ends

    return {
        "@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld",
        "@graph": [
            {"type": "CreationInfo", "@id": "_:c", "specVersion": "3.0.1"},
            {"type": "software_Sbom", "spdxId": at + "bom", "rootElement": [at + "model"]},
            {"type": "ai_AIPackage", "spdxId": at + "model", "name": "churn"},
            {"type": "ai_AIPackage", "spdxId": at + "base", "name": "base", "verifiedUsing": hashes["base"]},
            {"type": "dataset_DatasetPackage", "spdxId": at + "data", "name": "churn 2026", "verifiedUsing": hashes["data"],
             "dataset_hasSensitivePersonalInformation": "yes"},
            {"type": "dataset_DatasetPackage", "spdxId": at + "test", "name": "test set"},
            {"type": "software_Package", "spdxId": at + "torch", "name": "torch", "software_packageUrl": "pkg:pypi/torch@2.9.0"},
            {"type": "simplelicensing_LicenseExpression", "spdxId": at + "l", "simplelicensing_licenseExpression": "CC-BY-4.0"},
            related(1, "trainedOn", "model", "data"),
            related(2, "testedOn", "model", "test"),
            related(3, "descendantOf", "model", "base"),
            related(4, "dependsOn", "model", "torch"),
            related(5, "hasDeclaredLicense", "data", "https://spdx.org/licenses/MIT"),
            related(6, "hasConcludedLicense", "data", "l"),
        ],
    }  # fmt: skip


_MODELPACK_KINDS = {"config.json": "weight.config", "code/modeling.py": "code"}


def modelpack(files: Mapping[str, bytes]) -> dict[str, Any]:
    """The manifest that `modctl build --raw` makes."""
    layers = [
        {
            "mediaType": f"application/vnd.cncf.model.{_MODELPACK_KINDS.get(name, 'weight')}.v1.raw", "digest": sha256_of(content), "size": len(content),
            "annotations": {"org.cncf.model.filepath": name, "org.cncf.model.file.metadata+json": "{}"},
        }
        for name, content in files.items()
    ]  # fmt: skip
    return {
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "artifactType": "application/vnd.cncf.model.manifest.v1+json",
        "config": {"mediaType": "application/vnd.cncf.model.config.v1+json", "digest": sha256_of(b"{}"), "size": 2}, "layers": layers,
    }  # fmt: skip
