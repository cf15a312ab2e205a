"""What identifies a person or opens a door is replaced, the same by the same."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from sluice.api.strict_json import JsonObject
from sluice.scoring.replay import redaction
from sluice.scoring.replay.redaction import RedactionRefused, Redactor, names_in
from sluice.scoring.replay.requests import LeftOut, Unusable
from sluice.scoring.scorers.personal_data import PersonalData, personal_data_places

KEY = bytes(range(32))
REDACTOR = Redactor(KEY)


@pytest.mark.parametrize(
    ("name", "text", "secret"),
    [
        ("EMAIL", "write to anna.k@firma.de now", "anna.k@firma.de"),
        ("PHONE", "call +49 170 1234567 today", "+49 170 1234567"),
        ("IBAN", "from DE89 3704 0044 0532 0130 00 PAID", "DE89 3704 0044 0532 0130 00"),
        ("CARD", "card 4111 1111 1111 1111.", "4111 1111 1111 1111"),
        ("SSN", "number 536-22-1234 is", "536-22-1234"),
        ("IP", "from 8.8.4.4 at", "8.8.4.4"),
        ("CREDENTIAL", "use sk-proj-abcdefghijklmnop123456 for", "sk-proj-abcdefghijklmnop123456"),
        ("CREDENTIAL", "Authorization: Bearer abcdef.123456-7890_xyz end", "abcdef.123456-7890_xyz"),
        ("CREDENTIAL", "id AKIAIOSFODNN7EXAMPLE is", "AKIAIOSFODNN7EXAMPLE"),
        ("CREDENTIAL", "ghp_abcdefghijklmnopqrstuvwxyz0123456789 x", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
        ("CREDENTIAL", "xoxb-1234567890-abcdef x", "xoxb-1234567890-abcdef"),
        ("CREDENTIAL", "cookie eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl end", "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl"),
        ("CREDENTIAL", "at postgres://app:hunter2@db/x", "app:hunter2"),
        (
            "CREDENTIAL",
            "key -----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC==\n-----END RSA PRIVATE KEY----- done",
            "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC==\n-----END RSA PRIVATE KEY-----",
        ),
    ],
)
def test_every_kind_is_replaced_and_what_stands_around_it_stays(name: str, text: str, secret: str) -> None:
    before, after = text.split(secret)
    assert re.fullmatch(rf"{re.escape(before)}\[{name}-[a-p]{{12}}\]{re.escape(after)}", REDACTOR.text(text))


@pytest.mark.parametrize("text", ["order 4111 1111 1111 1112", "mail to a@example.com", "at 10.0.0.7", "task-force", "in 2026-11-21T10:00:00Z", "sk-short"])
def test_what_is_nobodys_stays(text: str) -> None:
    assert REDACTOR.text(text) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna.K@Firma.de", "anna.k@firma.de"),
        ("+49 170 1234567", "+49-170-123-4567"),
        ("4111 1111 1111 1111", "4111-1111-1111-1111"),
        ("DE89 3704 0044 0532 0130 00 AND", "DE89370400440532013000 OR"),
    ],
)
def test_two_spellings_of_a_secret_have_one_placeholder(one: str, other: str) -> None:
    assert REDACTOR.text(one).split("]")[0] == REDACTOR.text(other).split("]")[0]


def test_two_secrets_and_two_keys_have_different_ones() -> None:
    mails = {redactor.text(mail) for redactor in (REDACTOR, Redactor(bytes(32))) for mail in ("anna@firma.de", "bob@firma.de")}
    assert len(mails) == 4
    assert REDACTOR.fingerprint != Redactor(bytes(32)).fingerprint


def test_a_key_that_a_dictionary_beats_is_refused() -> None:
    with pytest.raises(RedactionRefused, match="31 bytes"):
        Redactor(KEY[:31])


def test_an_expression_of_ones_own_replaces_too_but_never_a_placeholder() -> None:
    redactor = Redactor(KEY, further={"WORD": "[a-zA-Z@.]+", "NOTHING": "x*"})
    assert names_in(redactor.text("mail anna@firma.de")) == ["WORD", "EMAIL"]
    assert redactor.text("mail anna@firma.de") == redactor.text(redactor.text("mail anna@firma.de"))


@pytest.mark.parametrize(("name", "expression", "complaint"), [("customer", "a", "'customer' is no name"), ("CUSTOMER", "(", "for CUSTOMER cannot be read")])
def test_an_expression_that_cannot_be_used_is_refused(name: str, expression: str, complaint: str) -> None:
    with pytest.raises(RedactionRefused, match=complaint):
        Redactor(KEY, further={name: expression})


def test_values_are_redacted_at_any_depth_in_names_and_in_numbers() -> None:
    members: JsonObject = {"a@firma.de": [{"card": 4111111111111111, "ok": True, "age": 41, "x": 1.5, "none": None}], "json": '{"mail": "a@firma.de"}'}
    changed = REDACTOR.members(members, numbers=True)
    (mail,) = (name for name in changed if name != "json")
    assert changed == {mail: [{"card": REDACTOR.text("4111111111111111"), "ok": True, "age": 41, "x": 1.5, "none": None}], "json": f'{{"mail": "{mail}"}}'}


def test_numbers_of_tensors_stay_and_their_texts_do_not() -> None:
    tensor: JsonObject = {"data": [4111111111111111, "a@firma.de"]}
    assert REDACTOR.members(tensor, numbers=False) == {"data": [4111111111111111, REDACTOR.text("a@firma.de")]}


def test_members_that_become_one_are_left_out() -> None:
    with pytest.raises(Unusable) as refused:
        REDACTOR.members({"Anna@firma.de": 1, "anna@firma.de": 2}, numbers=True)
    assert refused.value.reason is LeftOut.UNREDACTABLE


def test_what_stands_between_many_secrets_is_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def places(text: str) -> Iterator[tuple[PersonalData, int, int]]:
        looked.append(text)
        return personal_data_places(text)

    monkeypatch.setattr(redaction, "personal_data_places", places)
    assert len(names_in(REDACTOR.text("://a:" * 2000))) >= 1999
    assert len(looked) < 10
