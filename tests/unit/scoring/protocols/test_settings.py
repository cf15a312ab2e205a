"""A setting that no client can follow is refused where it is written, with the member and what to do."""

import pytest

from sluice.scoring.protocols.endpoint import Endpoint, check_token
from sluice.scoring.protocols.settings import HttpExchange, Limits, ProtocolSettings, ProtocolType, Sampling, SettingsError

CHAT = ProtocolType.OPENAI_CHAT


@pytest.mark.parametrize("members", [{"temperature": -0.1}, {"temperature": 2.1}, {"temperature": float("nan")}])
def test_a_temperature_outside_of_the_api_is_refused(members: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=r"sampling\.temperature"):
        Sampling(**members)  # type: ignore[arg-type]


@pytest.mark.parametrize("top_p", [0, 1.1, float("nan")])
def test_a_nucleus_of_nothing_or_more_than_all_is_refused(top_p: float) -> None:
    with pytest.raises(SettingsError, match=r"sampling\.topP"):
        Sampling(top_p=top_p)


@pytest.mark.parametrize("max_tokens", [0, -1, (1 << 20) + 1])
def test_a_number_of_tokens_out_of_range_is_refused(max_tokens: int) -> None:
    with pytest.raises(SettingsError, match=r"sampling\.maxTokens"):
        Sampling(max_tokens=max_tokens)


@pytest.mark.parametrize("kind", [kind for kind in ProtocolType if kind is not ProtocolType.HTTP])
def test_a_protocol_that_names_its_model_needs_the_name(kind: ProtocolType) -> None:
    assert ProtocolSettings(type=kind, model="m").model == "m"
    with pytest.raises(SettingsError, match="model is empty"):
        ProtocolSettings(type=kind)


@pytest.mark.parametrize("name", ["m\n", "m" * 257, "m\x00"])
def test_a_name_that_breaks_out_of_its_line_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="model is"):
        ProtocolSettings(type=CHAT, model=name)
    with pytest.raises(SettingsError, match="version is"):
        ProtocolSettings(type=ProtocolType.OPEN_INFERENCE, model="m", version=name)


def test_http_belongs_to_its_protocol_and_to_no_other() -> None:
    http = HttpExchange(body="{}", answer="")
    assert ProtocolSettings(type=ProtocolType.HTTP, http=http).http == http
    with pytest.raises(SettingsError, match="http is for type Http"):
        ProtocolSettings(type=ProtocolType.HTTP)
    with pytest.raises(SettingsError, match="http is for type Http"):
        ProtocolSettings(type=CHAT, model="m", http=http)


@pytest.mark.parametrize("kind", list(ProtocolType))
def test_what_a_protocol_would_ignore_is_refused(kind: ProtocolType) -> None:
    http = HttpExchange(body="{}", answer="") if kind is ProtocolType.HTTP else None
    sampled = kind in {ProtocolType.OPENAI_CHAT, ProtocolType.OPENAI_COMPLETIONS}
    versioned = kind in {ProtocolType.OPEN_INFERENCE, ProtocolType.OPEN_INFERENCE_GRPC}
    for given, allowed in (
        ({"stream": True}, sampled),
        ({"sampling": Sampling()}, sampled),
        ({"version": "v1"}, versioned),
        ({"path": "/v1"}, kind is not ProtocolType.OPEN_INFERENCE_GRPC),
    ):
        if allowed:
            ProtocolSettings(type=kind, model="m", http=http, **given)
        else:
            with pytest.raises(SettingsError, match=next(iter(given))):
                ProtocolSettings(type=kind, model="m", http=http, **given)


@pytest.mark.parametrize("path", ["v1", "/v1//", "//v1", "//", "/a/../b", "/.", "/a?b", "/a#b", "/a b", "/ä", "/a\n", "/" + "a" * 512, "http://elsewhere"])
def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(SettingsError, match="path is"):
        ProtocolSettings(type=CHAT, model="m", path=path)
    with pytest.raises(SettingsError, match=r"http\.ready is"):
        HttpExchange(body="{}", answer="", ready=path)


def test_the_path_of_a_plain_request_may_end_in_a_slash_and_where_an_api_begins_may_not() -> None:
    for path in ("/", "/predict/", "/predict"):
        http = HttpExchange(body="{}", answer="", ready=path)
        assert ProtocolSettings(type=ProtocolType.HTTP, path=path, http=http).base_path == path
        with pytest.raises(SettingsError, match="path is"):
            ProtocolSettings(type=CHAT, model="m", path="/v1/")


def test_the_api_begins_where_openai_has_it_unless_said_otherwise() -> None:
    assert ProtocolSettings(type=CHAT, model="m").base_path == "/v1"
    assert ProtocolSettings(type=CHAT, model="m", path="/openai/v1").base_path == "/openai/v1"
    assert ProtocolSettings(type=ProtocolType.OPEN_INFERENCE, model="m").base_path == ""


@pytest.mark.parametrize(("method", "body"), [("GET", "{}"), ("POST", ""), ("PUT", ""), ("DELETE", "{}"), ("post", "{}")])
def test_a_method_and_its_body_belong_together(method: str, body: str) -> None:
    with pytest.raises(SettingsError, match=r"http\.(method|body)"):
        HttpExchange(method=method, body=body, answer="")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer x"},
        {"COOKIE": "a=b"},
        {"Host": "elsewhere"},
        {"X-A": "b\r\nHost: elsewhere"},
        {"X-A\r\n": "b"},
        {"X A": "b"},
        {"": "b"},
        {"X-A": "ä"},
        {"X-A": "b" * 1025},
        {f"X-{index}": "" for index in range(17)},
    ],
)
def test_a_header_that_is_ours_or_none_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"http\.headers"):
        HttpExchange(body="{}", answer="", headers=headers)


@pytest.mark.parametrize("name", ["timeout_seconds", "response_bytes", "stream_events", "tool_calls", "tensor_elements", "json_depth"])
@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_a_limit_that_limits_nothing_or_everything_is_refused(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=name):
        Limits(**{name: value})  # type: ignore[arg-type]


def test_json_is_never_read_deeper_than_python_can_go() -> None:
    with pytest.raises(SettingsError, match="json_depth"):
        Limits(json_depth=201)


@pytest.mark.parametrize(
    ("text", "origin", "authority", "tls"),
    [
        ("http://10.0.0.7:8080", "http://10.0.0.7:8080", "10.0.0.7:8080", False),
        ("http://10.0.0.7:8080/", "http://10.0.0.7:8080", "10.0.0.7:8080", False),
        ("https://churn.payments.svc", "https://churn.payments.svc:443", "churn.payments.svc:443", True),
        ("http://[fd00::7]:8080", "http://[fd00::7]:8080", "[fd00::7]:8080", False),
    ],
)
def test_an_endpoint_is_scheme_host_and_port(text: str, origin: str, authority: str, tls: bool) -> None:
    assert Endpoint.parse(text) == Endpoint(origin=origin, authority=authority, tls=tls)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.0.0.7:8080",
        "ftp://a",
        "unix:///socket",
        "http://",
        "http://a:99999",
        "http://a/v1",
        "http://a?b=c",
        "http://a#b",
        "http://me:hidden@a",
        "http://[::1",
    ],
)
def test_what_is_more_or_less_than_an_endpoint_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(SettingsError, match="endpoint") as refused:
        Endpoint.parse(text)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize("token", ["", "two words", "line\n", "tökén", "x" * 8193])
def test_a_token_that_no_header_carries_is_refused_without_repeating_it(token: str) -> None:
    with pytest.raises(SettingsError, match="look at the Secret") as refused:
        check_token(token)
    assert not token or token not in str(refused.value)


def test_a_token_and_no_token_are_both_fine() -> None:
    check_token("sk-abc_DEF.123~+/=")
    check_token(None)
