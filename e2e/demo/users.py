"""People who use the model all the time, through its Service, and notice when it does not answer.

They reach the Service through the API server, which works on every cluster; it sends each request to a ready Pod.
"""

from __future__ import annotations

import json
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from e2e.demo.target import Target

_PEOPLE = 2
_PAUSE_SECONDS = 0.25
_TIMEOUT_SECONDS = 10.0


class Answers:
    """How many requests which version has answered, and how many failed."""

    def __init__(self) -> None:
        """Begin with none."""
        self.by_version: Counter[str] = Counter()
        self.failed: list[str] = []

    def __str__(self) -> str:
        """Say it in one line."""
        answered = ", ".join(f"{count:,} by {version}" for version, count in sorted(self.by_version.items()))
        return f"users asked meanwhile: answered {answered or 'none'}; failed {len(self.failed)}"


def ask(address: str, namespace: str, image: Sequence[int]) -> dict[str, Any]:
    """Ask the Service `digits` about one image, through a `kubectl proxy` at `address` (host and port).

    Raises OSError, or ValueError for an answer that is not JSON.
    """
    body = json.dumps({"inputs": [{"name": "predict", "shape": [1, len(image)], "datatype": "FP32", "data": list(image)}]}).encode()
    url = f"http://{address}/api/v1/namespaces/{namespace}/services/digits:80/proxy/v2/models/digits/infer"
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - likewise
        return json.load(answer)  # type: ignore[no-any-return]


@contextmanager
def asking(target: Target, namespace: str, image: Sequence[int]) -> Iterator[Answers]:
    """Ask about an image again and again, until the block ends."""
    answers, over = Answers(), threading.Event()

    def use(address: str) -> None:
        while not over.wait(_PAUSE_SECONDS):
            try:
                answers.by_version[ask(address, namespace, image)["model_version"]] += 1
            except (OSError, ValueError, KeyError) as error:
                answers.failed.append(str(error))

    people = [threading.Thread(target=use, args=(target.proxy(),), daemon=True) for _ in range(_PEOPLE)]
    for person in people:
        person.start()
    try:
        yield answers
    finally:
        over.set()
        for person in people:
            person.join(_TIMEOUT_SECONDS)
