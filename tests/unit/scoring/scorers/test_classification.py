"""Classes: from tensors and texts to labels, from labels to figures."""

import pytest

from sluice.scoring.answer import Answer
from sluice.scoring.case import Json
from sluice.scoring.scorers.build import scorer_of
from sluice.scoring.scorers.classification import classifier
from sluice.scoring.scorers.settings import ExpectError, ScorerType, Settings, SettingsError
from tests.unit.scoring.scorers.said import case, said

LABELS = {"labels": ["ham", "spam", "not sure"]}


def predicted(answer: Answer, **parameters: Json) -> str | None:
    return classifier(Settings(type=ScorerType.CLASSIFICATION, parameters=parameters))(answer)


@pytest.mark.parametrize(
    ("data", "label"),
    [
        ((0.1, 0.7, 0.2), "spam"),
        ((0.5, 0.5, 0.0), "ham"),
        ((-3, -2, -1), "not sure"),
        ((1,), "spam"),
        ((1.0,), "spam"),
        (("spam",), "spam"),
        ((0.5,), None),
        ((float("nan"), 1.0), None),
        ((True, False), None),
        ((), None),
        ((10**400, 1), None),
    ],
)
def test_the_class_of_a_tensor_is_its_largest_number_or_its_only_element(data: tuple[object, ...], label: str | None) -> None:
    assert predicted(said(output=data), **LABELS) == label


def test_an_index_beyond_the_labels_is_none_of_them() -> None:
    assert predicted(said(output=(7,)), **LABELS) not in LABELS["labels"]


def test_a_threshold_makes_a_probability_a_class() -> None:
    assert predicted(said(p=(0.5,)), threshold=0.5) == "1"
    assert predicted(said(p=(0.49,)), threshold=0.5, labels=["ham", "spam"]) == "ham"


def test_the_tensor_is_named_where_there_are_several() -> None:
    answer = said(label=(2,), probabilities=(0.9, 0.1))
    assert predicted(answer, output="label") == "2"
    assert predicted(answer, output="probabilities") == "0"
    assert predicted(answer) is None


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("spam", "spam"),
        (" Spam.", "spam"),
        ("This is clearly spam!", "spam"),
        ("I am not sure.", "not sure"),
        ("ham or spam", None),
        ("spam spam spam", "spam"),
        ("spammer", None),
        ("", None),
    ],
)
def test_a_text_names_a_class_when_it_names_one_only(text: str, label: str | None) -> None:
    assert predicted(said(text), **LABELS) == label


def test_without_labels_a_text_is_its_own() -> None:
    assert predicted(said(" Bern\n")) == "Bern"


@pytest.mark.parametrize(("label", "score"), [("spam", 1.0), (1, 1.0), ("ham", 0.0), (0, 0.0)])
def test_the_right_class_is_worth_one(label: object, score: float) -> None:
    assert scorer_of(Settings(type=ScorerType.CLASSIFICATION, parameters=LABELS))(case(label=label), said(output=(0.1, 0.9))).value == score


def test_a_case_without_a_label_is_not_for_it_and_a_strange_one_is_refused() -> None:
    score = scorer_of(Settings(type=ScorerType.CLASSIFICATION))
    assert score(case(), said("x")).value is None
    for strange in (True, 1.5, ["ham"]):
        with pytest.raises(ExpectError, match=r"expect\.label"):
            score(case(label=strange), said())


def test_labels_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(SettingsError, match="differ in more than case"):
        predicted(said(), labels=["Spam", "spam"])
