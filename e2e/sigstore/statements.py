"""Statements as signers write them, for tests and the demo."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

STATEMENT = "https://in-toto.io/Statement/v1"
MODEL_SIGNATURE = "https://model_signing/signature/v1.0"
SLSA_PROVENANCE = "https://slsa.dev/provenance/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
EVAL_RESULT = "https://in-toto.io/attestation/eval-result/v0.1"


def statement(predicate_type: str, subjects: Iterable[Mapping[str, Any]], predicate: Mapping[str, Any]) -> dict[str, Any]:
    """An in-toto Statement v1."""
    return {"_type": STATEMENT, "subject": [dict(each) for each in subjects], "predicateType": predicate_type, "predicate": dict(predicate)}


def subject(name: str, digest: str) -> dict[str, Any]:
    """A subject or resource descriptor; `digest` is `algorithm:hex`."""
    algorithm, _, value = digest.partition(":")
    return {"name": name, "digest": {algorithm: value}}


def model_signature_statement(model: Path | Mapping[str, bytes], *, name: str = "model") -> dict[str, Any]:
    """An OpenSSF model signature over a folder of files, or over files given as name to content."""
    if isinstance(model, Path):
        hashed = {path.relative_to(model).as_posix(): _file_sha256(path) for path in model.rglob("*") if path.is_file()}
        name = model.name
    else:
        hashed = {file: hashlib.sha256(content).hexdigest() for file, content in model.items()}
    resources = [{"name": file, "algorithm": "sha256", "digest": hashed[file]} for file in sorted(hashed)]
    root = hashlib.sha256(b"".join(bytes.fromhex(each["digest"]) for each in resources)).hexdigest()
    predicate = {"resources": resources, "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": []}}
    return statement(MODEL_SIGNATURE, [subject(name, f"sha256:{root}")], predicate)


def slsa_statement(subjects: Mapping[str, str], builder_id: str, dependencies: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """SLSA provenance v1: `builder_id` made `subjects` (name to `algorithm:hex`) out of `dependencies` (URI, `algorithm:hex`)."""
    resolved = [{"uri": uri, "digest": dict([digest.split(":", 1)])} for uri, digest in dependencies]
    predicate = {
        "buildDefinition": {"buildType": "https://ci.example.com/build/v1", "externalParameters": {}, "resolvedDependencies": resolved},
        "runDetails": {"builder": {"id": builder_id}, "metadata": {"invocationId": "https://ci.example.com/runs/1"}},
    }
    return statement(SLSA_PROVENANCE, [subject(name, digest) for name, digest in subjects.items()], predicate)


def evaluation_statement(
    subject_digest: str, raw_name: str, raw_bytes: bytes, *, predicate_type: str = TEST_RESULT, subject_name: str = "weights"
) -> dict[str, Any]:
    """An evaluation of `subject_digest` that names one raw file by digest, as a test result or as an eval result."""
    raw = [subject(raw_name, "sha256:" + hashlib.sha256(raw_bytes).hexdigest())]
    predicate: dict[str, Any] = {"evidence": raw} if predicate_type == EVAL_RESULT else {"result": "PASSED", "configuration": raw}
    return statement(predicate_type, [subject(subject_name, subject_digest)], predicate)


def lm_eval_results(
    task: str, metric: str, value: float, samples: int, *, stderr: float | str | None = None, evaluated: int | None = None, limit: float | None = None
) -> bytes:
    """A **synthetic** `results_*.json` in the shape that lm-eval 0.4.13 writes. Nothing was evaluated; the demo uses files that the harness wrote.

    `evaluated` (default: all `samples`) and `limit` make a run that was cut short.
    """
    error = (value * (1 - value) / samples) ** 0.5 if stderr is None else stderr
    document = {
        "results": {task: {"alias": task, f"{metric},none": value, f"{metric}_stderr,none": error}},
        "group_subtasks": {task: []},
        "configs": {task: {"task": task, "output_type": "multiple_choice", "num_fewshot": 0, "metric_list": [{"metric": metric}]}},
        "versions": {task: 1.0},
        "n-shot": {task: 0},
        "higher_is_better": {task: {metric: True}},
        "n-samples": {task: {"original": samples, "effective": samples if evaluated is None else evaluated}},
        "config": {"model": "synthetic", "model_args": "", "batch_size": 1, "device": None, "limit": limit, "bootstrap_iters": 100000, "random_seed": 0},
        "git_hash": None,
        "date": 1795000000.0,
        "lm_eval_version": "0.4.13",
        "task_hashes": {},
        "model_source": "synthetic",
        "model_name": "synthetic",
        "total_evaluation_time_seconds": "1.0",
    }
    return json.dumps(document, indent=2).encode()


def _file_sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
