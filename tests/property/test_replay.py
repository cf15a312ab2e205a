"""Whatever a recording holds: nothing that looks like a secret is left, and redacting twice is redacting once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sluice.scoring.replay.redaction import Redactor
from sluice.scoring.scorers.personal_data import personal_data_in

REDACTOR = Redactor(bytes(range(32)), further={"CUSTOMER": "C-[0-9]{1,8}"})
SECRETS = st.sampled_from(
    [
        "anna.k@firma.de", "+49 170 1234567", "(212) 664-7665", "DE89 3704 0044 0532 0130 00", "4111 1111 1111 1111", "536-22-1234", "8.8.4.4",
        "2606:4700:4700::1111", "C-1234", "sk-abcdefghijklmnopqrstuv",
    ]
)  # fmt: skip
PIECES = st.one_of(SECRETS, st.text(alphabet="aA1 4-.+:@/[]é", max_size=6), st.sampled_from(["4111", "DE", "[EMAIL-aaaaaaaaaaaa]", "[CARD-", "\u202e"]))
TEXTS = st.lists(PIECES, max_size=12).map("".join)


@given(TEXTS)
def test_nothing_that_looks_like_personal_data_is_left(text: str) -> None:
    assert not personal_data_in(REDACTOR.text(text))


@given(TEXTS)
def test_redacting_twice_is_redacting_once(text: str) -> None:
    once = REDACTOR.text(text)
    assert REDACTOR.text(once) == once


@given(SECRETS, st.text(alphabet="abc é,;!", max_size=9), st.text(alphabet="abc é,;!", max_size=9))
def test_a_secret_between_words_of_any_kind_is_replaced(secret: str, before: str, after: str) -> None:
    assert secret not in REDACTOR.text(f"{before} {secret} {after}")
