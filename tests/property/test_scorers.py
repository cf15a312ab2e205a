"""What holds for every answer, whatever it is: scores in bounds, tokens found in every encoding, and nothing found where nothing is."""

import base64
import codecs
import string
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from sluice.scoring.answer import Answer, ToolCall
from sluice.scoring.case import Case, Prompt, Tensor
from sluice.scoring.scorers.build import gate_of, pair_scorer_of, scorer_of
from sluice.scoring.scorers.container import ReplyError, score_from
from sluice.scoring.scorers.judge import verdict_of
from sluice.scoring.scorers.latency import quantile_limit
from sluice.scoring.scorers.pattern import PatternError, searcher
from sluice.scoring.scorers.refusal import is_refusal
from sluice.scoring.scorers.settings import GateType, PairScorerType, ScorerType, Settings

EXPECT = {
    "text": ["yes", "é"],
    "pattern": "a+b",
    "number": 3,
    "schema": {"type": "object", "uniqueItems": True},
    "fields": {"a": 1},
    "label": "a",
    "tools": ["a"],
    "toolCalls": [{"name": "a", "arguments": {"b": 1}}],
    "embedding": [1.0, 2.0],
    "canaryTokens": ["0f1e2d3c4b5a69788796"],
}
ASKED = Case(id="c", input=Prompt(text="?"), expect=EXPECT, tags=frozenset({"unsafe"}))
NEEDED: dict[ScorerType, dict[str, object]] = {ScorerType.REFUSAL: {"wanted": "Refuse"}, ScorerType.LATENCY: {"limitSeconds": 1}}

texts = st.text(st.characters(codec=None), max_size=200) | st.sampled_from(["I can't help", '{"a": 1}', "yes", "3", "```\n[]\n```", "8.8.8.8"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
calls = st.builds(ToolCall, name=texts | st.just("a"), arguments=st.none() | st.dictionaries(texts | st.just("b"), json_values, max_size=3), raw=texts)
tensors = st.builds(
    lambda data: Tensor(name="out", shape=(len(data),), datatype="FP64", data=tuple(data)),
    st.lists(st.floats() | st.integers() | st.booleans() | texts, max_size=5),
)
answers = st.builds(
    Answer,
    text=texts,
    turns=st.lists(texts, max_size=3).map(tuple),
    tool_calls=st.lists(calls, max_size=3).map(tuple),
    tensors=st.dictionaries(texts, tensors, max_size=2),
    embedding=st.lists(st.floats(), max_size=3).map(tuple),
    latency_seconds=st.floats(min_value=0, allow_nan=False),
)
embeddings = st.builds(Answer, embedding=st.lists(st.floats(), max_size=3).map(tuple), latency_seconds=st.just(0.0))
tokens = st.text(string.ascii_letters + string.digits, min_size=16, max_size=40).filter(
    lambda token: len(set(token.lower())) >= 8 and sum(c.isdigit() for c in token) >= 3 and sum(c.isalpha() for c in token) >= 3
)
around = st.text(st.characters(codec="utf-8", exclude_characters=string.digits), max_size=30)


SCORERS = {kind: scorer_of(Settings(type=kind, parameters=NEEDED.get(kind, {}))) for kind in ScorerType}
GATES = {kind: gate_of(Settings(type=kind)) for kind in GateType}


# To draw an answer costs more than to judge it: all judge the same ones.
@settings(max_examples=60)
@given(answer=answers)
def test_every_scorer_gives_every_answer_a_value_in_bounds(answer: Answer) -> None:
    values = {kind: scorer(ASKED, answer).value for kind, scorer in SCORERS.items()}
    assert {kind: value for kind, value in values.items() if value is None or not 0.0 <= value <= 1.0} == {}


@given(one=embeddings, other=embeddings)
def test_agreement_is_in_bounds_the_same_both_ways_and_one_with_itself(one: Answer, other: Answer) -> None:
    score = pair_scorer_of(Settings(type=PairScorerType.EMBEDDING_AGREEMENT))
    value = score(ASKED, one, other).value
    assert value == score(ASKED, other, one).value
    assert value is not None
    assert 0.0 <= value <= 1.0
    assert score(ASKED, one, one).value in {0.0, 1.0}


@settings(max_examples=60)
@given(answer=answers)
def test_every_gate_judges_every_answer_the_same_each_time(answer: Answer) -> None:
    assert {kind for kind, gate in GATES.items() if gate(ASKED, answer) != gate(ASKED, answer)} == set()


def shifted(encode: Callable[[bytes], bytes], before: int) -> Callable[[str], str]:
    return lambda token: encode(b"~" * before + token.encode() + b" and so on").decode()


ENCODINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "upper": str.upper,
    "lower": str.lower,
    "reversed": lambda token: token[::-1],
    "rot13": lambda token: codecs.encode(token, "rot13"),
    "spaced": " - ".join,
    "zero width": "\u200d".join,
    "fullwidth": lambda token: "".join(chr(ord(c) + 0xFEE0) for c in token),
    "tags": lambda token: "".join(chr(ord(c) + 0xE0000) for c in token),
    "hex": lambda token: token.encode().hex(),
    "hex upper": lambda token: token.encode().hex(" ").upper(),
    "binary": lambda token: " ".join(f"{byte:08b}" for byte in token.encode()),
    "decimal": lambda token: " ".join(str(byte) for byte in token.encode()),
    "octal": lambda token: " ".join(f"{byte:o}" for byte in token.encode()),
    "percent": lambda token: quote("".join(f"%{byte:02x}" for byte in token.encode())),
    "entities": lambda token: "".join(f"&#{ord(c)};" for c in token),
    "json": lambda token: "".join(f"\\u{ord(c):04X}" for c in token),
    "halves": lambda token: f"{token[: len(token) // 2]} ... {token[len(token) // 2 :]}",
    "utf-16 in base64": lambda token: base64.b64encode(token.encode("utf-16-le")).decode(),
    "twice base64": lambda token: base64.b64encode(base64.b64encode(token.encode())).decode(),
    "lines": lambda token: "\n".join(base64.encodebytes(token.encode() * 2).decode()),
    **{f"base64 after {n}": shifted(base64.b64encode, n) for n in range(3)},
    **{f"base64 for URLs after {n}": shifted(base64.urlsafe_b64encode, n) for n in range(3)},
    **{f"base32 after {n}": shifted(base64.b32encode, n) for n in range(5)},
}


# To make ready for a token costs more than to look for it: each is looked for in every encoding.
@settings(max_examples=25)
@given(token=tokens, before=around, after=around)
def test_every_encoding_of_every_token_is_found(token: str, before: str, after: str) -> None:
    gate = gate_of(Settings(type=GateType.EXFILTRATION, parameters={"tokens": [token]}))
    for encoding, encode in ENCODINGS.items():
        hits = gate(Case(id="c", input=Prompt(text="?")), Answer(text=f"{before} {encode(token)} {after}", latency_seconds=0.0))
        assert hits, encoding
        assert all(token not in hit.what + hit.where for hit in hits), encoding


@given(
    token=tokens,
    of_each_kind=st.tuples(
        st.text(max_size=400), st.text(string.hexdigits, max_size=2000), st.binary(max_size=1500).map(lambda data: base64.b64encode(data).decode())
    ),
)
def test_a_text_without_the_token_is_no_hit(token: str, of_each_kind: tuple[str, ...]) -> None:
    """Random text does not hold sixteen random characters by accident, in any of the forms that are looked for."""
    # Hypothesis likes to draw one value twice: a text that holds all characters of the token is not without it.
    without = [text for text in of_each_kind if Counter(text.lower()) & Counter(token.lower()) != Counter(token.lower())]
    assume(without)
    gate = gate_of(Settings(type=GateType.EXFILTRATION, parameters={"tokens": [token]}))
    for text in without:
        assert gate(Case(id="c", input=Prompt(text="?")), Answer(text=text, latency_seconds=0.0)) == ()


@settings(max_examples=25)
@given(token=tokens)
def test_a_token_that_lacks_characters_is_no_hit(token: str) -> None:
    gate = gate_of(Settings(type=GateType.EXFILTRATION, parameters={"tokens": [token]}))
    for cut in range(1, 13):
        assert gate(Case(id="c", input=Prompt(text="?")), Answer(text=f"It was {token[:-cut]}.", latency_seconds=0.0)) == (), cut


@given(pattern=st.text(max_size=40) | st.text("ab()[]{}|*+?.^$\\d,1 -", max_size=30), text=st.text(max_size=100))
@example(pattern="(a*)*b", text="a" * 60)
def test_a_pattern_is_refused_or_it_searches(pattern: str, text: str) -> None:
    try:
        search = searcher(pattern)
    except PatternError:
        return
    assert search(text) in {True, False}


@given(
    latencies=st.lists(st.floats(min_value=0, max_value=1e6), max_size=200),
    quantile=st.floats(min_value=0.01, max_value=0.999),
    confidence=st.floats(min_value=0.5, max_value=0.999),
)
def test_a_latency_limit_is_one_of_the_latencies_and_grows_with_confidence(latencies: list[float], quantile: float, confidence: float) -> None:
    limit = quantile_limit(latencies, quantile=quantile, tolerance=0.0, confidence=confidence)
    surer = quantile_limit(latencies, quantile=quantile, tolerance=0.0, confidence=(1 + confidence) / 2)
    assert limit is None or limit in latencies
    assert surer is None or (limit is not None and surer >= limit)


@given(reply=st.binary(max_size=60) | json_values.map(lambda value: repr(value).encode("utf-8", "replace")))
def test_whatever_a_scorer_or_a_judge_replies_is_read_or_refused(reply: bytes) -> None:
    verdict_of(reply.decode("utf-8", "replace"))
    try:
        value: Any = score_from(reply).value
    except ReplyError:
        return
    assert value is None or 0.0 <= value <= 1.0


@given(text=st.text(max_size=300))
def test_whether_an_answer_is_a_refusal_does_not_depend_on_what_surrounds_it_in_space(text: str) -> None:
    assert is_refusal(text) is is_refusal(f"\n  {text} \n")
