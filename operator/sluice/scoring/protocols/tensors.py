"""Tensors of the Open Inference Protocol: as many elements as the shape says, each of the datatype, all of them finite.

Source: Open Inference Protocol specification, "Tensor Data Types" and "Tensor Data". NaN and infinity are refused in both forms of the protocol: JSON cannot
say them, and no comparison with them means anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sluice.scoring.answer import Failure
from sluice.scoring.case import Case, Json, Tensor, Tensors
from sluice.scoring.protocols.settings import Limits
from sluice.scoring.protocols.unanswered import Unanswered, UnsuitableCase, malformed

BYTES: Final = "BYTES"
BOOL: Final = "BOOL"
INTEGERS: Final[Mapping[str, range]] = {
    **{f"INT{bits}": range(-(1 << bits - 1), 1 << bits - 1) for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": range(1 << bits) for bits in (8, 16, 32, 64)},
}
FLOATS: Final = frozenset({"FP32", "FP64"})
HALF_FLOATS: Final = frozenset({"FP16", "BF16"})
"""Neither JSON nor the typed fields of gRPC have a form for them in requests; servers that answer in them are understood."""
DIMENSIONS: Final = 32
TENSORS: Final = 256


def inputs_of(case: Case) -> tuple[Tensor, ...]:
    """The tensors that `case` asks with; raises UnsuitableCase."""
    if not isinstance(case.input, Tensors) or not case.input.inputs:
        raise UnsuitableCase(f"case {case.id!r}: the Open Inference Protocol needs at least one tensor")
    for tensor in case.input.inputs:
        where = f"case {case.id!r}: tensor {tensor.name!r}"
        if tensor.datatype in HALF_FLOATS:
            raise UnsuitableCase(f"{where} is {tensor.datatype}, which no request can hold as numbers; write FP32")
        problem = _problem(tensor.datatype, tensor.shape, tensor.data)
        if problem:
            raise UnsuitableCase(f"{where} {problem}")
    return case.input.inputs


def outputs_of(tensors: Iterable[tuple[str, str, Sequence[int], Sequence[Json]]], *, limits: Limits) -> dict[str, Tensor]:
    """Tensors by name, from name, datatype, shape and flat data of each; raises Unanswered (Malformed, TooLarge)."""
    outputs: dict[str, Tensor] = {}
    elements = 0
    for name, datatype, shape, data in tensors:
        elements += len(data)
        if elements > limits.tensor_elements:
            raise Unanswered(Failure.TOO_LARGE, f"the answer has more than {limits.tensor_elements:,} tensor elements")
        if len(outputs) == TENSORS:
            raise Unanswered(Failure.TOO_LARGE, f"the answer has more than {TENSORS} tensors")
        where = f"output {name[:64]!r}"
        problem = _problem(datatype, shape, data)
        if problem:
            raise malformed(f"{where} {problem}")
        if name in outputs:
            raise malformed(f"{where} is there twice")
        outputs[name] = Tensor(name=name, shape=tuple(shape), datatype=datatype, data=tuple(data))
    return outputs


def text_in(outputs: Mapping[str, Tensor]) -> str:
    """The text of an answer: the only element of its only BYTES tensor; empty when there is none or more than one."""
    texts = [tensor.data for tensor in outputs.values() if tensor.datatype == BYTES]
    return str(texts[0][0]) if len(texts) == 1 and len(texts[0]) == 1 else ""


def _problem(datatype: str, shape: Sequence[int], data: Sequence[Json]) -> str:
    """What is wrong with a tensor, empty when nothing is."""
    if datatype not in INTEGERS and datatype not in FLOATS | HALF_FLOATS | {BOOL, BYTES}:
        return f"has datatype {datatype[:16]!r}, which the protocol does not have"
    if len(shape) > DIMENSIONS or any(size < 0 for size in shape):
        return f"has a shape with more than {DIMENSIONS} dimensions, or with one below zero"
    if math.prod(shape) != len(data):
        return f"has {len(data):,} elements where its shape {list(shape)[:8]} has {math.prod(shape):,}"
    wrong = next((position for position, element in enumerate(data) if not _belongs(element, datatype)), None)
    return "" if wrong is None else f"is {datatype}, which element {wrong} is not"


def _belongs(element: Json, datatype: str) -> bool:
    if datatype == BYTES:
        return isinstance(element, str)
    if datatype == BOOL or isinstance(element, bool):
        return datatype == BOOL and isinstance(element, bool)
    if datatype in INTEGERS:
        return isinstance(element, int) and element in INTEGERS[datatype]
    return isinstance(element, (int, float)) and math.isfinite(element)
