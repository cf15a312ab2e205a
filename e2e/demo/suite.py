"""What a candidate and its baseline are asked before users see the candidate: the held-out images, one by one, as the model server takes them.

All of them: they are weighted like traffic, so the average that a run finds is the one that users would notice. What serves is probed with fewer, again and
again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from e2e.demo.model import Question
from sluice.api.names import API_VERSION

NAME, PROBE = "traffic", "probe"
"""What candidates are asked, and what serves is probed with."""
KEY = "cases.jsonl"
PROBED = 200
"""Images of a probe."""
RARE_DIGIT = 8
"""Hardly anybody sends one, so the average does not tell whether it is read."""


def cases(questions: Sequence[Question]) -> str:
    """Write images as cases, one a line; those of the rare digit are a slice of their own."""
    return "".join(json.dumps(_case(number, question), separators=(",", ":")) + "\n" for number, question in enumerate(questions))


def _case(number: int, question: Question) -> dict[str, Any]:
    tensor = {"name": "predict", "shape": [1, len(question.image)], "datatype": "FP32", "data": list(question.image)}
    rare = {"slices": {"rare": str(question.label)}} if question.label == RARE_DIGIT else {}
    return {"id": f"image-{number}", "input": {"tensors": [tensor]}, "expect": {"label": question.label}} | rare


def suite(lines: str, *, namespace: str, name: str = NAME) -> list[dict[str, Any]]:
    """Give a suite, and the ConfigMap with its cases: too many lines for `kubectl apply`, which keeps a copy in an annotation."""
    spec = {
        "protocol": {"type": "OpenInference", "port": 8080, "model": "digits", "timeout": "10s", "concurrency": 4},
        "cases": {"configMap": {"name": name, "key": KEY, "digest": "sha256:" + hashlib.sha256(lines.encode()).hexdigest()}},
        "slices": ["rare"],
        "scorers": [{"name": "accuracy", "type": "Classification"}],
    }
    metadata = {"name": name, "namespace": namespace}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {KEY: lines}},
        {"apiVersion": API_VERSION, "kind": "ScoringSuite", "metadata": metadata, "spec": spec},
    ]


def requirement(questions: int) -> dict[str, Any]:
    """Ask in a policy that a release loses at most two points to its baseline, over all and in the slice."""
    return {
        "name": "canary",
        "type": "Canary",
        "suite": {"name": NAME},
        "margin": "0.02",
        "planned": questions,
        "maxDuration": "10m",
        "baselinePods": "Serving",
    }


def monitor() -> dict[str, Any]:
    """Ask in a policy that what serves is probed every five seconds: how many images are read right must stay what it was the first time."""
    return {
        "name": "accuracy",
        "probe": {"suite": {"name": PROBE}, "metric": "accuracy"},
        "period": "5s",
        "detects": "Mean",
        "reference": {"baseline": {"window": "1h", "atLeast": PROBED}},
        "changes": "Fall",
        "tolerance": "0.02",
        "missing": "0",
        "falseAlarmEvery": 1_000_000,
        "onDrift": "RollBack",
    }
