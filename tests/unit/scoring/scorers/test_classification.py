"""Classes: from tensors and texts to labels, from labels to figures."""

import pytest

from sluice.scoring.answer import Answer
from sluice.scoring.case import Json
from sluice.scoring.scorers.build import scorer_of
from sluice.scoring.scorers.classification import Confusion, classifier
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


def test_the_figures_of_a_set_come_from_its_counts() -> None:
    some = Confusion(counts={("a", "a"): 6, ("a", "b"): 2, ("b", "b"): 1, ("b", None): 1})
    assert some.accuracy() == pytest.approx(0.7)
    assert [some.precision("a"), some.recall("a"), some.f1("a")] == pytest.approx([1, 3 / 4, 6 / 7])
    assert [some.precision("b"), some.recall("b"), some.f1("b")] == pytest.approx([1 / 3, 1 / 2, 2 / 5])
    assert some.macro_f1() == pytest.approx((6 / 7 + 0.4) / 2)


def test_a_figure_that_is_not_defined_is_none() -> None:
    assert Confusion().accuracy() is None
    assert Confusion().macro_f1() is None
    never = Confusion(counts={("a", "b"): 1})
    assert never.precision("a") is None
    assert never.recall("b") is None
    assert never.f1("a") == 0.0
    assert never.f1("c") is None


def test_counts_add_in_any_order() -> None:
    one, other = Confusion(counts={("a", "a"): 1}), Confusion(counts={("a", "a"): 2, ("a", None): 1})
    assert one + other == other + one == Confusion(counts={("a", "a"): 3, ("a", None): 1})
