"""The Open Inference Protocol, version 2, over REST: MLServer, Triton, KServe, OpenVINO Model Server and others.

Source: Open Inference Protocol specification, "HTTP/REST API" (`POST v2/models/{name}[/versions/{version}]/infer`). Tensors are JSON; the binary tensor
extension is not asked for and not read. The protocol has no seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from sluice.scoring.answer import Answer
from sluice.scoring.case import Case, Json, Tensor
from sluice.scoring.protocols.channel import Budget, HttpChannel
from sluice.scoring.protocols.documents import a_list, a_string, an_index, an_object
from sluice.scoring.protocols.settings import Limits, ProtocolSettings
from sluice.scoring.protocols.tensors import inputs_of, outputs_of, text_in


def request_of(inputs: Sequence[Tensor]) -> Json:
    """An inference request."""
    return {"inputs": [{"name": tensor.name, "shape": list(tensor.shape), "datatype": tensor.datatype, "data": list(tensor.data)} for tensor in inputs]}


def tensors_of(document: Json, *, limits: Limits) -> dict[str, Tensor]:
    """The outputs of an inference response; raises Unanswered."""
    outputs = a_list(an_object(document, where="the answer").get("outputs"), where="outputs")
    return outputs_of((_output(output, where=f"outputs[{position}]") for position, output in enumerate(outputs)), limits=limits)


class OpenInference:
    """Asks once."""

    def __init__(self, settings: ProtocolSettings, channel: HttpChannel, *, limits: Limits) -> None:
        self._channel = channel
        self._limits = limits
        version = f"/versions/{quote(settings.version, safe='')}" if settings.version else ""
        self._model = f"{settings.base_path}/v2/models/{quote(settings.model, safe='')}{version}"
        self.asks = f"POST {self._model}/infer"

    async def ready(self) -> bool:
        """Whether the server says that the model is loaded."""
        return await self._channel.succeeds(f"{self._model}/ready")

    async def answer(self, case: Case, *, seed: int) -> Answer:  # noqa: ARG002 - the protocol has no seed
        """Raises Unanswered, UnsuitableCase."""
        document, seconds = await self._channel.ask(f"{self._model}/infer", request_of(inputs_of(case)), budget=Budget(self._limits))
        outputs = tensors_of(document, limits=self._limits)
        return Answer(text=text_in(outputs), tensors=outputs, latency_seconds=seconds)


def _output(value: Json, *, where: str) -> tuple[str, str, list[int], list[Json]]:
    output = an_object(value, where=where)
    shape = [an_index(size, where=f"{where}.shape[{position}]") for position, size in enumerate(a_list(output.get("shape"), where=f"{where}.shape"))]
    return (
        a_string(output.get("name"), where=f"{where}.name"),
        a_string(output.get("datatype"), where=f"{where}.datatype"),
        shape,
        list(_flat(a_list(output.get("data"), where=f"{where}.data"))),
    )


def _flat(values: list[Json]) -> Iterator[Json]:
    """Elements in row-major order: the protocol allows lists in lists. As deep as JSON was allowed to be."""
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value
