"""Answers of Prometheus: what is read, and what is refused."""

import json
from datetime import UTC, datetime

import pytest

from sluice.scoring.drift.distribution import DistributionDetector
from sluice.scoring.drift.histogram import Histogram, Numeric, freeze_names, freeze_numbers
from sluice.scoring.drift.mean import MeanDetector, MeanReference
from sluice.scoring.drift.refused import DriftRefused
from sluice.scoring.drift.settings import Promise
from sluice.scoring.monitor import Answer, Counts, Query, Scale, Values
from sluice.scoring.prometheus import ANSWER_LIMIT, read, reference

WHEN = 1795251600.5
AT = datetime.fromtimestamp(WHEN, UTC)
RATE = MeanDetector(reference=MeanReference.of_counts(1000, 10_000), promise=Promise())
TOOLS = DistributionDetector(reference=freeze_names({"read": 900, "send": 100}), promise=Promise())
LATENCY = DistributionDetector(reference=Histogram(bins=Numeric(edges=(0.1, 0.5)), counts=(100, 800, 100)), promise=Promise())
VALUES = Query(promql="refusal_ratio", answer=Answer.VALUES)
BY_TOOL = Query(promql="sum by (tool) (increase(calls[1m]))", answer=Answer.COUNTS, label="tool")
REFUSED = Query(promql="sum by (outcome) (increase(answers[1m]))", answer=Answer.COUNTS, label="outcome", event="refused")
BUCKETS = Query(promql="sum by (le) (increase(seconds_bucket[1m]))", answer=Answer.BUCKETS)


def vector(*samples: tuple[dict[str, str], str]) -> bytes:
    result = [{"metric": labels, "value": [WHEN, value]} for labels, value in samples]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


def test_a_scalar_is_one_observation() -> None:
    raw = json.dumps({"status": "success", "data": {"resultType": "scalar", "result": [WHEN, "0.25"]}}).encode()
    assert read(raw, VALUES, RATE) == Values(at=AT, values=(0.25,))


def test_the_series_of_a_vector_are_observations_in_the_order_of_their_labels() -> None:
    assert read(vector(({"pod": "b"}, "0.2"), ({"pod": "a"}, "0.1")), VALUES, RATE) == Values(at=AT, values=(0.1, 0.2))


@pytest.mark.parametrize("raw", [vector(), vector(({}, "NaN"))])
def test_nothing_to_divide_and_no_series_are_no_observation(raw: bytes) -> None:
    assert read(raw, VALUES, RATE) is None


@pytest.mark.parametrize("raw", [vector(), vector(({"outcome": "refused"}, "0"), ({"outcome": "answered"}, "NaN"))])
def test_counts_of_nothing_are_no_observation(raw: bytes) -> None:
    assert read(raw, REFUSED, RATE) is None


def test_counts_of_a_mean_are_without_and_with_the_event() -> None:
    raw = vector(({"outcome": "refused"}, "3.2"), ({"outcome": "answered"}, "10"), ({"outcome": "failed"}, "6.7"))
    assert read(raw, REFUSED, RATE) == Counts(at=AT, counts=(17, 3))


def test_counts_of_names_are_in_the_bins_of_the_reference_and_new_names_are_other() -> None:
    raw = vector(({"tool": "send"}, "2"), ({"tool": "new"}, "1"), ({"tool": "read", "pod": "a"}, "4"), ({"tool": "read", "pod": "b"}, "5"))
    assert read(raw, BY_TOOL, TOOLS) == Counts(at=AT, counts=(9, 2, 1))


def test_cumulative_buckets_become_bins() -> None:
    raw = vector(({"le": "+Inf"}, "40.4"), ({"le": "0.1"}, "9.8"), ({"le": "0.5"}, "35.2"))
    assert read(raw, BUCKETS, LATENCY) == Counts(at=AT, counts=(10, 25, 5))


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        ([({"le": "0.1"}, "1"), ({"le": "+Inf"}, "2")], "not the same"),
        ([({"le": "0.1"}, "1"), ({"le": "0.6"}, "1"), ({"le": "+Inf"}, "2")], "not the same"),
        ([({"le": "0.1"}, "3"), ({"le": "0.5"}, "2"), ({"le": "+Inf"}, "4")], "not cumulative"),
        ([({"le": "0.1", "pod": "a"}, "3"), ({"le": "0.1", "pod": "b"}, "2")], "there twice"),
        ([({"le": "x"}, "3")], "no number in its label 'le'"),
        ([({}, "3")], "no number in its label 'le'"),
    ],
)
def test_buckets_that_are_not_those_of_the_reference_are_refused(samples: list[tuple[dict[str, str], str]], why: str) -> None:
    with pytest.raises(DriftRefused, match=why):
        read(vector(*samples), BUCKETS, LATENCY)


@pytest.mark.parametrize(("query", "detector"), [(BY_TOOL, LATENCY), (BUCKETS, TOOLS), (BUCKETS, RATE)])
def test_counts_of_another_kind_than_the_reference_are_refused(query: Query, detector: DistributionDetector | MeanDetector) -> None:
    with pytest.raises(DriftRefused, match=r"names|numbers"):
        read(vector(({"tool": "read", "le": "0.1"}, "1")), query, detector)


def test_counts_without_the_label_are_refused() -> None:
    with pytest.raises(DriftRefused, match="no label 'tool'"):
        read(vector(({"pod": "a"}, "1")), BY_TOOL, TOOLS)


@pytest.mark.parametrize("value", ["-1", "+Inf", "1e300"])
def test_what_is_no_count_is_refused(value: str) -> None:
    with pytest.raises(DriftRefused, match="is no count"):
        read(vector(({"tool": "read"}, value)), BY_TOOL, TOOLS)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "is not the JSON"),
        (b"[]", "did not answer"),
        (b'{"status":"error","error":"parse error: unexpected end"}', "parse error: unexpected end"),
        (b'{"status":"success","data":{"resultType":"matrix","result":[]}}', "'matrix'"),
        (b'{"status":"success","data":{"resultType":"vector","result":{}}}', "a scalar or a vector"),
        (b'{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"1"]}]}}', "no labels"),
        (b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{}}]}}', "no sample"),
        (b'{"status":"success","data":{"resultType":"scalar","result":[1,2]}}', "no sample"),
        (b'{"status":"success","data":{"resultType":"scalar","result":[1,"x"]}}', "no sample"),
        (b'{"status":"success","data":{"resultType":"scalar","result":[1e300,"1"]}}', "no sample"),
        (b" " * (ANSWER_LIMIT + 1), "at most"),
    ],
)
def test_an_answer_of_another_form_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(DriftRefused, match=why):
        read(raw, VALUES, RATE)


def test_a_vector_of_any_length_is_refused() -> None:
    with pytest.raises(DriftRefused, match="10,000 series"):
        read(vector(*[({}, "1")] * 10_001), VALUES, RATE)


# What is normal.


def matrix(*series: list[str]) -> bytes:
    result = [{"metric": {"pod": str(number)}, "values": [[WHEN + step, value] for step, value in enumerate(values)]} for number, values in enumerate(series)]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


def test_counts_give_the_share_of_the_event_or_of_each_name() -> None:
    raw = vector(({"outcome": "refused"}, "100.4"), ({"outcome": "answered"}, "899.8"), ({"outcome": "gone"}, "0"))
    assert reference(raw, REFUSED, of_mean=True, scale=None) == MeanReference.of_counts(100, 1000)
    assert reference(raw, REFUSED, of_mean=False, scale=None) == freeze_names({"refused": 100, "answered": 900})


def test_buckets_keep_their_edges() -> None:
    raw = vector(({"le": "0.5"}, "900"), ({"le": "0.1"}, "100"), ({"le": "+Inf"}, "1000"))
    assert reference(raw, BUCKETS, of_mean=False, scale=None) == LATENCY.reference


def test_values_are_those_of_all_series_at_all_steps() -> None:
    raw = matrix(["1", "NaN", "3"], ["-5", "90"])
    assert reference(raw, VALUES, of_mean=True, scale=Scale(low=0, high=10)) == MeanReference.of([0.1, 0.3, 0.0, 1.0])
    assert reference(raw, VALUES, of_mean=False, scale=None) == freeze_numbers([1, 3, -5, 90])


@pytest.mark.parametrize(
    ("raw", "query"),
    [
        (vector(), REFUSED),
        (vector(({"outcome": "refused"}, "1")), REFUSED),
        (vector(), BUCKETS),
        (vector(({"le": "+Inf"}, "1")), BUCKETS),
        (matrix(), VALUES),
        (matrix(["NaN", "1"]), VALUES),
    ],
)
def test_next_to_nothing_is_no_reference(raw: bytes, query: Query) -> None:
    assert reference(raw, query, of_mean=query is not BUCKETS, scale=None) is None


@pytest.mark.parametrize(
    ("raw", "query", "problem"),
    [
        (vector(({}, "1")), VALUES, "over a time"),
        (matrix(["1"]), REFUSED, "matrix"),
        (b'{"status":"success","data":{"resultType":"matrix","result":[1]}}', VALUES, "no labels"),
        (b'{"status":"success","data":{"resultType":"vector","result":[1]}}', REFUSED, "no labels"),
        (vector(({"le": "1"}, "5"), ({"le": "2"}, "7")), BUCKETS, "Inf"),
        (vector(({"le": "1"}, "5"), ({"le": "+Inf"}, "4")), BUCKETS, "not cumulative"),
        (matrix(["2", "0.1"]), VALUES, "not a number in"),
    ],
)
def test_an_answer_that_says_nothing_about_what_is_normal_is_refused(raw: bytes, query: Query, problem: str) -> None:
    with pytest.raises(DriftRefused, match=problem):
        reference(raw, query, of_mean=query is not BUCKETS, scale=None)
