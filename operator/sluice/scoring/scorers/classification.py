"""Classification: which class an answer names, and whether it is the right one.

The decision engine works on correctness case by case, for which its promise holds. Precision, recall and F1 belong to a set of cases: `sluice.scoring.classes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sluice.scoring.answer import Answer
from sluice.scoring.case import Case, Json, Tensor
from sluice.scoring.scorers.score import NOT_FOR_THIS_CASE, Score, Scorer, yes_or_no
from sluice.scoring.scorers.settings import Parameters, Settings, expected
from sluice.scoring.scorers.tensors import output_of, vector

_LABEL_REMEDY = "write the right label, as a string or as the index of the class"
_LOOKED_AT = 64 * 1024
"""Characters of an answer in which a label is looked for."""


def classification(settings: Settings) -> Scorer:
    """Whether the class that the answer names is `expect.label` (a label, or an index). Parameters: see `classifier`. Raises SettingsError."""
    predicted = classifier(settings)
    labels = settings.parameters.get("labels") or ()

    def score(case: Case, answer: Answer) -> Score:
        wanted = label_of(case, labels)
        return NOT_FOR_THIS_CASE if wanted is None else yes_or_no(predicted(answer) == wanted)

    return score


def label_of(case: Case, labels: tuple[str, ...] | list[str] = ()) -> str | None:
    """`expect.label` as text, an index as the label that it stands for; None when the case has none. Raises ExpectError."""
    value = expected(case, "label", (str, int), _LABEL_REMEDY)
    return None if value is None else _name(value, tuple(labels))


def classifier(settings: Settings) -> Callable[[Answer], str | None]:
    """Build a function from an answer to the label that it names, None when it names none or more than one.

    From tensors: the largest of several numbers (the first of equals), or the one element, a string or an index. From a text: the label that it is, or the only
    one that occurs in it as words. Case does not matter where labels are given.

    Parameters: `labels` (list of strings, in the order of indices; default none: an index is its own label, a text is one as a whole), `output` (name of
    the tensor; default: the only one), `threshold` (a single number is the probability of class 1, which is named from here on; default: it is an index).
    Raises SettingsError.
    """
    parameters = Parameters(settings)
    labels = parameters.texts("labels", default=())
    if len({label.casefold() for label in labels}) < len(labels):
        raise parameters.wrong("labels", list(labels), "write labels that differ in more than case")
    output = parameters.text("output") if "output" in settings.parameters else None
    threshold = parameters.number("threshold", maximum=1.0) if "threshold" in settings.parameters else None
    parameters.done()
    by_text = {_words(label): label for label in labels}
    words = re.compile("|".join(rf"(?<!\w){re.escape(text)}(?!\w)" for text in sorted(by_text, key=len, reverse=True))) if labels else None

    def from_tensor(tensor: Tensor) -> str | None:
        if len(tensor.data) == 1 and isinstance(tensor.data[0], str):
            return tensor.data[0]
        numbers = vector(tensor)
        if not numbers:
            return None
        if len(numbers) > 1:
            return _name(numbers.index(max(numbers)), labels)
        if threshold is not None:
            return _name(int(numbers[0] >= threshold), labels)
        return _name(int(numbers[0]), labels) if numbers[0].is_integer() else None

    def from_text(text: str) -> str | None:
        if words is None:
            return text.strip() or None
        text = _words(text[:_LOOKED_AT])
        if text in by_text:
            return by_text[text]
        found = set(words.findall(text))
        return by_text[found.pop()] if len(found) == 1 else None

    def predict(answer: Answer) -> str | None:
        tensor = output_of(answer, output)
        return from_text(answer.text) if tensor is None else from_tensor(tensor)

    return predict


def _name(value: Json, labels: tuple[str, ...]) -> str:
    """The label of an index where there are labels; anything else as text. An index beyond the labels names none of them."""
    if isinstance(value, int) and 0 <= value < len(labels):
        return labels[value]
    return str(value)


def _words(text: str) -> str:
    return " ".join(text.casefold().strip(" \t\r\n.,;:!?\"'`*()[]").split())
