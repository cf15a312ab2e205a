"""What a server says is fit for a status: one line, bounded, without the token."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.scoring.protocols.settings import Limits
from sluice.scoring.protocols.wording import in_document

TOKEN = "s3cret-0123"


@pytest.mark.parametrize(
    "document",
    [
        {"error": {"message": "no model", "type": "NotFoundError", "code": 404}},
        {"error": "no model"},
        {"message": "no model", "code": 404},
        {"detail": "no model"},
        "no model",
    ],
    ids=["OpenAI", "MLServer and Triton", "vLLM of old", "FastAPI", "text in JSON"],
)
def test_the_message_is_found_where_servers_put_it(document: object) -> None:
    assert in_document(json.dumps(document).encode(), token=None, limits=Limits()) == ": no model"


@pytest.mark.parametrize("raw", [b"", b"  \n", b"{}", b"[]", b"3", b'{"error": {"code": 404}}', b'{"detail": [{"msg": "no"}]}'])
def test_a_server_that_says_nothing_is_not_quoted(raw: bytes) -> None:
    assert in_document(raw, token=TOKEN, limits=Limits()) == ""


@given(st.text(), st.text(), st.sampled_from(["{}", '{{"error": {}}}', '{{"error": {{"message": {}}}}}']))
def test_whatever_is_around_the_token_it_is_not_said(before: str, after: str, form: str) -> None:
    text = before + TOKEN + after
    for raw in (text.encode("utf-8", "replace"), form.format(json.dumps(text)).encode()):
        words = in_document(raw, token=TOKEN, limits=Limits())
        assert TOKEN not in words
        assert words.isprintable()
        assert len(words) <= 202


def test_a_long_story_is_cut() -> None:
    assert in_document(b"x" * 1000, token=TOKEN, limits=Limits()) == ": " + "x" * 200
