"""Plain HTTP: a request from a template, an answer by a JSON pointer."""

from __future__ import annotations

from collections.abc import Mapping

from sluice.scoring.answer import Answer
from sluice.scoring.case import Case, Fields, Json, Prompt, Text
from sluice.scoring.protocols.channel import Budget, HttpChannel
from sluice.scoring.protocols.settings import HttpExchange, Limits, ProtocolSettings
from sluice.scoring.protocols.template import MODEL, SEED, BodyTemplate, Pointer, QueryTemplate, TemplateError, as_text
from sluice.scoring.protocols.unanswered import UnsuitableCase, malformed


def values_of(case: Case) -> Mapping[str, Json]:
    """What the template may ask for: fields, or a prompt or text as a field of that name. Raises UnsuitableCase."""
    if isinstance(case.input, Fields):
        return case.input.values
    if isinstance(case.input, Prompt):
        return {"prompt": case.input.text}
    if isinstance(case.input, Text):
        return {"text": case.input.text}
    raise UnsuitableCase(f"case {case.id!r}: plain HTTP needs fields, a prompt or a text")


class Request:
    """A request with places, parsed once."""

    def __init__(self, http: HttpExchange, *, model: str) -> None:
        self._model = model
        self._body = BodyTemplate.parse(http.body) if http.body else None
        self._query = QueryTemplate.parse(http.query)

    def of(self, case: Case, *, seed: int) -> tuple[str, Json]:
        """Query and body for `case`; raises UnsuitableCase."""
        values = {**values_of(case), MODEL: self._model, SEED: seed}
        try:
            return self._query.fill(values), None if self._body is None else self._body.fill(values)
        except TemplateError as error:
            raise UnsuitableCase(f"case {case.id!r}: http.{error}") from None


class PlainHttp:
    """Asks once."""

    def __init__(self, settings: ProtocolSettings, http: HttpExchange, channel: HttpChannel, *, limits: Limits) -> None:
        self._http = http
        self._path = settings.base_path or "/"
        self._channel = channel
        self._limits = limits
        self._request = Request(http, model=settings.model)
        self._pointer = Pointer.parse(http.answer)
        self.asks = f"{http.method} {self._path}"

    async def ready(self) -> bool:
        """Whether the path for that is answered 2xx; without one, whether the server answers."""
        return await (self._channel.succeeds(self._http.ready) if self._http.ready else self._channel.answers("/"))

    async def answer(self, case: Case, *, seed: int) -> Answer:
        """Raises Unanswered, UnsuitableCase."""
        query, body = self._request.of(case, seed=seed)
        document, seconds = await self._channel.ask(
            self._path, body, budget=Budget(self._limits), method=self._http.method, query=query, headers=self._http.headers
        )
        try:
            found = self._pointer.of(document)
        except TemplateError as error:
            raise malformed(str(error)) from None
        if found is None:
            raise malformed("the pointer leads to null")
        text = as_text(found)
        return Answer(text=text, turns=(text,), latency_seconds=seconds)
