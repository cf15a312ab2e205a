"""The words of a report, for somebody who reads one for the first time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

GLOSSARY: Final[Mapping[str, str]] = {
    "Candidate": "The new version of a model that is to serve.",
    "Baseline": "The approved version that serves now. The candidate has to be about as good.",
    "Case": "One question, or input, with what is expected of the answer. It counts once, however often it is repeated.",
    "Metric": "One thing that is measured in each answer, between 0 (worst) and 1 (best), such as whether it is right or came in time.",
    "Slice": "A part of the cases, such as those of one region. A candidate can be as good on average and ruin a slice, so each is looked at by itself.",
    "Difference": "The candidate's score minus the baseline's on the same case. Below zero: the candidate did worse.",
    "Point": "A difference of 0.01. With yes-or-no scores, one answer in a hundred.",
    "Margin": "How much worse than the baseline the candidate may be. Policy sets it: a small loss may be worth a cheaper or safer model.",
    "Measured, truth between": (
        "The mean difference on the cases asked so far, and the range in which it would be on ever more cases. The more cases, the narrower. The range is made "
        "so that it may be read at any time, not only at the end."
    ),
    "Evidence": (
        "How hard the answers are to explain if the opposite were true. Around 1 and below, it says nothing. It decides when it reaches the number "
        "behind “of”, which follows from the declared error rates and from how many metrics share them."
    ),
    "Look": "The numbers of cases at which it is checked whether enough is known. They are fixed before, so that nobody can stop when it suits.",
    "Promote": "No metric is worse than its margin: this requirement of the release is satisfied.",
    "Roll back": "A metric, or a slice, is worse than its margin, or a hard gate was hit: the candidate goes, and its digest is refused from then on.",
    "Inconclusive": "Neither was shown with the cases there were. Nothing is promoted by that; policy says what follows, by default a person decides.",
    "Hard gate": "Something that must never happen, such as a planted secret in an answer. A single hit rolls back.",
    "Noise": "How far the baseline is from itself when it is asked the same twice.",
    "Digest": "A fingerprint of content. Two things with the same digest are the same, byte by byte.",
}
