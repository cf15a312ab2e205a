"""The messages of the Open Inference Protocol over gRPC that we send and read, and nothing else of it.

Names, numbers and types are those of `open_inference_grpc.proto` (package `inference`) of the Open Inference Protocol specification; MLServer, Triton and
KServe carry the same ones. Members that we do not read (parameters, ids) are unknown fields here, which protobuf skips. The descriptors are built from this
table when the module is imported, in a pool of their own: no compiler at build time, and no quarrel with another package that brings the same protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE: Final = "inference"

SERVICE: Final = "/inference.GRPCInferenceService"

# Message → field → number and type; a type in brackets is repeated, another message is named by its name.
TABLE: Final[Mapping[str, Mapping[str, tuple[int, str]]]] = {
    "InferTensorContents": {
        "bool_contents": (1, "[bool]"),
        "int_contents": (2, "[int32]"),
        "int64_contents": (3, "[int64]"),
        "uint_contents": (4, "[uint32]"),
        "uint64_contents": (5, "[uint64]"),
        "fp32_contents": (6, "[float]"),
        "fp64_contents": (7, "[double]"),
        "bytes_contents": (8, "[bytes]"),
    },
    "InferTensor": {
        # ModelInferRequest.InferInputTensor and ModelInferResponse.InferOutputTensor are the same on the wire.
        "name": (1, "string"),
        "datatype": (2, "string"),
        "shape": (3, "[int64]"),
        "contents": (5, "InferTensorContents"),
    },
    "ModelInferRequest": {
        "model_name": (1, "string"),
        "model_version": (2, "string"),
        "inputs": (5, "[InferTensor]"),
    },
    "ModelInferResponse": {
        "outputs": (5, "[InferTensor]"),
        "raw_output_contents": (6, "[bytes]"),
    },
    "ModelReadyRequest": {
        "name": (1, "string"),
        "version": (2, "string"),
    },
    "ModelReadyResponse": {
        "ready": (1, "bool"),
    },
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="sluice/open_inference.proto", package=_PACKAGE, syntax="proto3")
    for message, members in TABLE.items():
        described = file.message_type.add(name=message)
        for name, (number, kind) in members.items():
            label = _Field.LABEL_REPEATED if kind.startswith("[") else _Field.LABEL_OPTIONAL
            kind = kind.strip("[]")  # noqa: PLW2901
            if kind in TABLE:
                described.field.add(name=name, number=number, label=label, type=_Field.TYPE_MESSAGE, type_name=f".{_PACKAGE}.{kind}")
            else:
                described.field.add(name=name, number=number, label=label, type=_Field.Type.Value(f"TYPE_{kind.upper()}"))
    return file


_POOL: Final = descriptor_pool.DescriptorPool()
_POOL.Add(_file())


def new(message: str, **members: Any) -> Any:  # noqa: ANN401 - classes made at run time have members that no type checker knows
    """An empty message by its name in the table, or one with these members."""
    made: type[Message] = message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{message}"))
    return made(**members)
