"""The Open Inference Protocol, version 2, over gRPC: MLServer, Triton, KServe, OpenVINO Model Server and others.

Source: Open Inference Protocol specification, "GRPC API". Requests have typed contents; answers have typed contents (MLServer) or raw ones (Triton), which
are little-endian in row-major order, BYTES with four bytes of length before each element. An element of BYTES is UTF-8 text. The protocol has no seed.

Elements are counted when they are elements: until then the bytes of the response bound them, at eight bytes of memory for each byte at most.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from google.protobuf.message import DecodeError

from sluice.scoring.answer import Answer
from sluice.scoring.case import Case, Json, Tensor
from sluice.scoring.protocols.grpc_channel import GrpcChannel
from sluice.scoring.protocols.open_inference_messages import SERVICE, new
from sluice.scoring.protocols.settings import Limits, ProtocolSettings
from sluice.scoring.protocols.tensors import BYTES, inputs_of, outputs_of, text_in
from sluice.scoring.protocols.unanswered import malformed

_CONTENTS: Final = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
_RAW: Final = {
    "BOOL": "?",
    **{f"{sign}{bits}": f"<{letter}{bits // 8}" for sign, letter in (("INT", "i"), ("UINT", "u")) for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
}
_LENGTH: Final = struct.Struct("<I")


def request_of(inputs: Sequence[Tensor], *, settings: ProtocolSettings) -> bytes:
    """A ModelInferRequest."""
    request = new("ModelInferRequest", model_name=settings.model, model_version=settings.version)
    for tensor in inputs:
        described = request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        data = [element.encode() for element in tensor.data] if tensor.datatype == BYTES else tensor.data
        getattr(described.contents, _CONTENTS[tensor.datatype]).extend(data)
    return bytes(request.SerializeToString())


def tensors_of(raw: bytes, *, limits: Limits) -> dict[str, Tensor]:
    """The outputs of a ModelInferResponse; raises Unanswered."""
    response = new("ModelInferResponse")
    try:
        response.ParseFromString(raw)
    except DecodeError:
        raise malformed("the answer is no ModelInferResponse") from None
    contents = response.raw_output_contents
    if contents and len(contents) != len(response.outputs):
        raise malformed(f"the answer has {len(response.outputs)} outputs, but {len(contents)} raw contents")
    return outputs_of(_outputs(response), limits=limits)


class OpenInferenceGrpc:
    """Asks once."""

    def __init__(self, settings: ProtocolSettings, channel: GrpcChannel, *, limits: Limits) -> None:
        self._settings = settings
        self._channel = channel
        self._limits = limits
        self.asks = f"{SERVICE}/ModelInfer of {settings.model}"

    async def ready(self) -> bool:
        """Whether the server says that the model is loaded."""
        request = new("ModelReadyRequest", name=self._settings.model, version=self._settings.version)
        raw = await self._channel.probe(f"{SERVICE}/ModelReady", request.SerializeToString())
        response = new("ModelReadyResponse")
        try:
            return raw is not None and bool(response.ParseFromString(raw)) and bool(response.ready)
        except DecodeError:
            return False

    async def answer(self, case: Case, *, seed: int) -> Answer:  # noqa: ARG002 - the protocol has no seed
        """Raises Unanswered, UnsuitableCase."""
        request = request_of(inputs_of(case), settings=self._settings)
        begun = time.monotonic()
        raw = await self._channel.call(f"{SERVICE}/ModelInfer", request)
        seconds = time.monotonic() - begun
        outputs = tensors_of(raw, limits=self._limits)
        return Answer(text=text_in(outputs), tensors=outputs, latency_seconds=seconds)


def _outputs(response: Any) -> Iterator[tuple[str, str, Sequence[int], Sequence[Json]]]:  # noqa: ANN401 - made at run time
    for position, output in enumerate(response.outputs):
        where = f"output {output.name[:64]!r}"
        if response.raw_output_contents:
            data = _unpacked(response.raw_output_contents[position], output.datatype, where=where)
        else:
            typed = getattr(output.contents, _CONTENTS.get(output.datatype, BYTES.lower() + "_contents"))
            data = list(typed)
        yield output.name, output.datatype, list(output.shape), [_text(element, where=where) for element in data] if output.datatype == BYTES else data


def _unpacked(raw: bytes, datatype: str, *, where: str) -> list[Json]:
    """Raw contents as elements; raises Unanswered."""
    if datatype == BYTES:
        return list(_elements(raw, where=where))
    try:
        # BF16 is the upper half of an FP32.
        values = (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4") if datatype == "BF16" else np.frombuffer(raw, _RAW.get(datatype, "u1"))
    except ValueError:
        raise malformed(f"{where} is {datatype}, but {len(raw):,} bytes are no whole number of elements") from None
    elements: list[Json] = values.tolist()
    return elements


def _elements(raw: bytes, *, where: str) -> Iterator[bytes]:
    position = 0
    while position < len(raw):
        begin = position + _LENGTH.size
        size = _LENGTH.unpack_from(raw, position)[0] if begin <= len(raw) else len(raw)
        position = begin + size
        if position > len(raw):
            raise malformed(f"{where} has an element that ends beyond its {len(raw):,} bytes")
        yield raw[begin:position]


def _text(element: bytes, *, where: str) -> str:
    try:
        return element.decode("utf-8")
    except UnicodeDecodeError:
        raise malformed(f"{where} has an element that is no UTF-8 text; BYTES are read as text") from None
