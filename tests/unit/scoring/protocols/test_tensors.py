"""Tensors hold what their shape and datatype say, over REST and over gRPC alike."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.scoring.answer import Failure
from sluice.scoring.case import Case, Json, Tensor, Tensors
from sluice.scoring.protocols import open_inference, open_inference_grpc
from sluice.scoring.protocols.open_inference_messages import TABLE, new
from sluice.scoring.protocols.settings import Limits, ProtocolSettings, ProtocolType
from sluice.scoring.protocols.tensors import inputs_of, text_in
from sluice.scoring.protocols.unanswered import Unanswered, UnsuitableCase

LIMITS = Limits()
SETTINGS = ProtocolSettings(type=ProtocolType.OPEN_INFERENCE_GRPC, model="echo")

# What MLServer 1.7.1 answered, with the classes that protoc had generated for it, to a request that asked to have its tensors back;
# the request, made with the same classes, is the same bytes.
RECORDED = bytes.fromhex(
    "0a046563686f2a190a01701204465033321a0201022a0a32080000003f000000c02a1b0a016e1205494e5436341a01012a0c1a0af9ffffffffffffffff01"
    "2a130a0173120542595445531a01012a0442026a612a110a01621204424f4f4c1a01012a030a01012a130a0175120555494e54381a01012a042202c801"
    "2a1c0a0155120655494e5436341a01012a0c2a0a808080808080808080012a1b0a01691205494e5433321a01012a0c120afdffffffffffffffff01"
    "2a180a01641204465036341a01012a0a3a089a9999999999b93f"
)
TENSORS = (
    Tensor(name="p", shape=(1, 2), datatype="FP32", data=(0.5, -2.0)),
    Tensor(name="n", shape=(1,), datatype="INT64", data=(-7,)),
    Tensor(name="s", shape=(1,), datatype="BYTES", data=("ja",)),
    Tensor(name="b", shape=(1,), datatype="BOOL", data=(True,)),
    Tensor(name="u", shape=(1,), datatype="UINT8", data=(200,)),
    Tensor(name="U", shape=(1,), datatype="UINT64", data=(2**63,)),
    Tensor(name="i", shape=(1,), datatype="INT32", data=(-3,)),
    Tensor(name="d", shape=(1,), datatype="FP64", data=(0.1,)),
)


def refused_rest(*outputs: object) -> Failure:
    """Why these outputs are no answer over REST."""
    with pytest.raises(Unanswered) as refused:
        open_inference.tensors_of({"outputs": list(outputs)}, limits=LIMITS)
    return refused.value.failure


def y(datatype: str, data: Json, *, shape: Json = None) -> dict[str, Json]:
    """An output over REST."""
    return {"name": "y", "datatype": datatype, "shape": [len(data)] if shape is None else shape, "data": data}


def test_an_answer_of_mlserver_is_read_as_it_was_meant() -> None:
    assert open_inference_grpc.tensors_of(RECORDED, limits=LIMITS) == {tensor.name: tensor for tensor in TENSORS}


def test_a_request_is_byte_for_byte_what_mlservers_own_classes_write() -> None:
    assert open_inference_grpc.request_of(TENSORS, settings=SETTINGS) == RECORDED


def test_the_numbers_are_those_of_the_published_protocol() -> None:
    assert {name: {member: number for member, (number, _) in members.items()} for name, members in TABLE.items()} == {
        "InferTensorContents": {
            "bool_contents": 1,
            "int_contents": 2,
            "int64_contents": 3,
            "uint_contents": 4,
            "uint64_contents": 5,
            "fp32_contents": 6,
            "fp64_contents": 7,
            "bytes_contents": 8,
        },
        "InferTensor": {"name": 1, "datatype": 2, "shape": 3, "contents": 5},
        "ModelInferRequest": {"model_name": 1, "model_version": 2, "inputs": 5},
        "ModelInferResponse": {"outputs": 5, "raw_output_contents": 6},
        "ModelReadyRequest": {"name": 1, "version": 2},
        "ModelReadyResponse": {"ready": 1},
    }


def test_members_that_we_do_not_read_are_skipped() -> None:
    # ModelInferResponse.id = 3, and field 99 of a protocol to come.
    more = b"\x1a\x02id" + b"\x9a\x06\x03new"
    assert open_inference_grpc.tensors_of(RECORDED + more, limits=LIMITS).keys() == {tensor.name for tensor in TENSORS}


def raw_answer(datatype: str, shape: list[int], raw: bytes) -> bytes:
    """An answer over gRPC with raw contents, as Triton gives them."""
    response = new("ModelInferResponse", raw_output_contents=[raw])
    response.outputs.add(name="y", datatype=datatype, shape=shape)
    return bytes(response.SerializeToString())


@pytest.mark.parametrize(
    ("datatype", "raw", "data"),
    [
        ("BOOL", b"\x01\x00", (True, False)),
        *((f"INT{bits}", (-2).to_bytes(bits // 8, "little", signed=True), (-2,)) for bits in (8, 16, 32, 64)),
        *((f"UINT{bits}", ((1 << bits) - 2).to_bytes(bits // 8, "little"), ((1 << bits) - 2,)) for bits in (8, 16, 32, 64)),
        ("FP16", struct.pack("<e", -1.5), (-1.5,)),
        ("BF16", struct.pack("<f", -1.5)[2:], (-1.5,)),
        ("FP32", struct.pack("<ff", 0.5, -2), (0.5, -2.0)),
        ("FP64", struct.pack("<d", 0.1), (0.1,)),
        ("BYTES", b"\x02\x00\x00\x00ja\x00\x00\x00\x00\x02\x00\x00\x00\xc3\xa4", ("ja", "", "ä")),
    ],
)
def test_raw_contents_are_little_endian(datatype: str, raw: bytes, data: tuple[Json, ...]) -> None:
    tensors = open_inference_grpc.tensors_of(raw_answer(datatype, [len(data)], raw), limits=LIMITS)
    assert tensors == {"y": Tensor(name="y", shape=(len(data),), datatype=datatype, data=data)}


@pytest.mark.parametrize(
    ("datatype", "raw"),
    [
        ("INT16", b"\x00"),
        ("FP64", b"\x00" * 9),
        ("BF16", b"\x00"),
        ("BYTES", b"\x01\x00\x00"),
        ("BYTES", b"\x01\x00\x00\x00"),
        ("BYTES", b"\xff\xff\xff\xffja"),
        ("BYTES", b"\x01\x00\x00\x00\xff"),
        ("FP32", struct.pack("<f", float("nan"))),
        ("FP64", struct.pack("<d", float("inf"))),
        ("BF16", b"\x80\x7f"),
        ("FP8", b"\x00"),
        ("", b"\x00"),
    ],
)
def test_raw_contents_that_are_no_elements_are_malformed(datatype: str, raw: bytes) -> None:
    with pytest.raises(Unanswered) as refused:
        open_inference_grpc.tensors_of(raw_answer(datatype, [1], raw), limits=LIMITS)
    assert refused.value.failure is Failure.MALFORMED


@pytest.mark.parametrize(("datatype", "raw"), [("UINT8", b"\x00" * 9), ("BYTES", b"\x00" * 36)])
def test_raw_elements_are_counted(datatype: str, raw: bytes) -> None:
    with pytest.raises(Unanswered) as refused:
        open_inference_grpc.tensors_of(raw_answer(datatype, [9], raw), limits=Limits(tensor_elements=8))
    assert refused.value.failure is Failure.TOO_LARGE


@pytest.mark.parametrize(
    "output",
    [
        *(
            y("FP32", [1.0], shape=[2]),
            y("FP32", [1.0, 2.0], shape=[]),
            y("FP32", [], shape=[1]),
            y("FP32", [1.0], shape=[-1, -1]),
            y("FP32", [1.0], shape=[1] * 33),
        ),
        *(y("FP32", ["1"]), y("FP32", [True]), y("FP32", [None]), y("INT8", [128]), y("INT8", [-129]), y("UINT8", [-1]), y("INT64", [1.0])),
        *(y("BOOL", [1]), y("BOOL", ["true"]), y("BYTES", [1]), y("FP8", [1]), y("fp32", [1]), y("FP32", [{}])),
        *({"name": 1}, {**y("FP32", [1]), "shape": ["1"]}, {**y("FP32", [1]), "data": 1}, {**y("FP32", [1]), "datatype": None}, [], None),
    ],
    ids=str,
)
def test_outputs_that_contradict_themselves_are_malformed(output: object) -> None:
    assert refused_rest(output) is Failure.MALFORMED


def test_two_outputs_of_one_name_are_malformed() -> None:
    assert refused_rest(y("FP32", [1]), y("FP32", [1])) is Failure.MALFORMED


def test_elements_are_bounded_over_all_outputs_at_the_limit_exactly() -> None:
    outputs: list[Json] = [{**y("FP32", [1] * 4), "name": name} for name in "ab"]
    assert len(open_inference.tensors_of({"outputs": outputs}, limits=Limits(tensor_elements=8))) == 2
    with pytest.raises(Unanswered) as refused:
        open_inference.tensors_of({"outputs": outputs}, limits=Limits(tensor_elements=7))
    assert refused.value.failure is Failure.TOO_LARGE


def test_tensors_are_bounded_in_number_even_when_they_are_empty() -> None:
    assert refused_rest(*({**y("FP32", []), "name": str(index)} for index in range(257))) is Failure.TOO_LARGE


def test_lists_in_lists_are_read_in_row_major_order() -> None:
    tensors = open_inference.tensors_of({"outputs": [y("INT32", [[1, 2], [3, 4], [5, 6]], shape=[3, 2])]}, limits=LIMITS)
    assert tensors["y"].data == (1, 2, 3, 4, 5, 6)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_both_forms_of_the_protocol_say_the_same_tensor(data: list[float]) -> None:
    tensor = Tensor(name="y", shape=(len(data),), datatype="FP32", data=tuple(data))
    raw = raw_answer("FP32", [len(data)], np.array(data, "<f4").tobytes())
    typed = open_inference_grpc.request_of([tensor], settings=SETTINGS)
    rest: Any = open_inference.request_of([tensor])
    assert (
        open_inference_grpc.tensors_of(raw, limits=LIMITS)
        == open_inference_grpc.tensors_of(typed, limits=LIMITS)
        == open_inference.tensors_of({"outputs": rest["inputs"]}, limits=LIMITS)
        == {"y": tensor}
    )


def test_a_shape_below_zero_is_malformed_even_when_its_product_is_right() -> None:
    with pytest.raises(Unanswered) as refused:
        open_inference_grpc.tensors_of(raw_answer("UINT8", [-1, -1], b"\x00"), limits=LIMITS)
    assert refused.value.failure is Failure.MALFORMED


@given(st.binary(max_size=200))
def test_bytes_are_tensors_or_refused_and_nothing_else(raw: bytes) -> None:
    for sent in (raw, RECORDED[: len(raw)] + raw, RECORDED + raw):
        try:
            open_inference_grpc.tensors_of(sent, limits=LIMITS)
        except Unanswered as error:
            assert error.failure in {Failure.MALFORMED, Failure.TOO_LARGE}  # noqa: PT017 - either way is right


@pytest.mark.parametrize(
    ("tensor", "word"),
    [
        (Tensor(name="x", shape=(2,), datatype="FP32", data=(1.0,)), "1 elements where its shape"),
        (Tensor(name="x", shape=(1,), datatype="FP16", data=(1.0,)), "write FP32"),
        (Tensor(name="x", shape=(1,), datatype="BF16", data=(1.0,)), "write FP32"),
        (Tensor(name="x", shape=(1,), datatype="STRING", data=("a",)), "'STRING'"),
        (Tensor(name="x", shape=(1,), datatype="INT8", data=(300,)), "element 0"),
    ],
)
def test_a_case_whose_tensor_cannot_be_sent_is_refused_by_name(tensor: Tensor, word: str) -> None:
    with pytest.raises(UnsuitableCase, match="'x'") as refused:
        inputs_of(Case(id="c", input=Tensors(inputs=(tensor,))))
    assert word in str(refused.value)


def test_the_only_element_of_the_only_bytes_tensor_is_the_text() -> None:
    text = Tensor(name="s", shape=(1,), datatype="BYTES", data=("yes",))
    number = Tensor(name="n", shape=(1,), datatype="INT8", data=(1,))
    two = Tensor(name="t", shape=(2,), datatype="BYTES", data=("yes", "no"))
    assert text_in({"s": text, "n": number}) == "yes"
    assert text_in({"n": number}) == text_in({"t": two}) == text_in({"s": text, "t": two}) == ""
