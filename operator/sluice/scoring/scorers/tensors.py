"""Reading a number, a class or a vector from the outputs of a model that answers in tensors (Open Inference Protocol)."""

from __future__ import annotations

import math
import sys

from sluice.scoring.answer import Answer
from sluice.scoring.case import Json, Tensor


def output_of(answer: Answer, name: str | None) -> Tensor | None:
    """The output called `name`; without a name the only one, None when there is no such or more than one."""
    if name is not None:
        return answer.tensors.get(name)
    return next(iter(answer.tensors.values())) if len(answer.tensors) == 1 else None


def only_value(answer: Answer, name: str | None = None) -> Json:
    """The one element of an output (see `output_of`); None when there is none or it has several."""
    tensor = output_of(answer, name)
    return tensor.data[0] if tensor is not None and len(tensor.data) == 1 else None


def vector(tensor: Tensor) -> tuple[float, ...] | None:
    """The elements as finite numbers, None when one is not; integers beyond a float's range are none."""
    numbers = tuple(float(item) for item in tensor.data if isinstance(item, (int, float)) and not isinstance(item, bool) and abs(item) <= sys.float_info.max)
    return numbers if len(numbers) == len(tensor.data) and all(map(math.isfinite, numbers)) else None
