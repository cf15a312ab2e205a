"""The series of known releases is what its report says: all kinds, all parts, the same for a seed, and qualities as stated."""

from collections import Counter

import pytest

from benchmarks.canary.kills import Part
from benchmarks.canary.model_server import RARE_EVERY, Quality
from benchmarks.canary_releases import KINDS, series

TEXTS = [str(number) for number in range(20_000)]


def wrong(quality: Quality, texts: list[str], release: str = "churn-2") -> float:
    said = [quality.answer(release, text) for text in texts]
    mistakes = [answer for text, answer in zip(texts, said, strict=True) if answer is not None and answer["label"] != ("yes" if int(text) % 2 else "no")]
    return len(mistakes) / len(texts)


@pytest.mark.parametrize("seed", range(20))
def test_no_candidate_is_killed_that_is_as_good_as_its_baseline(seed: int) -> None:
    killed = [one.kind.right for one in series(20, seed) if one.part is Part.CANDIDATE]
    assert killed
    assert set(killed) == {"RollBack"}


def test_a_series_has_every_kind_and_every_part_about_equally_often_and_is_the_same_for_its_seed() -> None:
    drawn = series(20, 4)
    assert drawn == series(20, 4) != series(20, 5)
    for counts, names in ((Counter(one.kind.name for one in drawn), {kind.name for kind in KINDS}), (Counter(one.part for one in drawn), set(Part))):
        assert set(counts) == names
        assert max(counts.values()) - min(counts.values()) <= 2


def test_qualities_are_the_shares_that_they_state() -> None:
    assert wrong(Quality(wrong=[]), TEXTS) == 0
    assert wrong(Quality(wrong=[(0, 0.05)]), TEXTS) == pytest.approx(0.05, abs=0.005)
    assert wrong(Quality(wrong=[], rare=0.3), [text for text in TEXTS if int(text) % RARE_EVERY == 0]) == pytest.approx(0.3, abs=0.05)
    assert wrong(Quality(wrong=[], rare=0.3), [text for text in TEXTS if int(text) % RARE_EVERY]) == 0
    assert [Quality(wrong=[], errors=0.04).answer("churn-2", text) for text in TEXTS].count(None) / len(TEXTS) == pytest.approx(0.04, abs=0.005)


def test_a_release_makes_the_mistakes_of_its_baseline_again_and_its_own() -> None:
    baseline, candidate = Quality(wrong=[(0, 0.01)]), Quality(wrong=[(0, 0.01), (1, 0.05)])
    said = {name: [quality.answer(name, text) for text in TEXTS] for name, quality in (("a", baseline), ("b", candidate))}
    mistakes = {name: {n for n, answer in enumerate(answers) if answer == {"label": "?"}} for name, answers in said.items()}
    assert mistakes["a"] < mistakes["b"]
