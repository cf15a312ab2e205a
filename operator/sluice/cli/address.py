"""Where a process listens, as options say it."""

from __future__ import annotations

from typing import Any

import click

_LARGEST_PORT = 65535


class Address(click.ParamType[tuple[str, int]]):
    """`HOST:PORT`; an IPv6 address stands in brackets."""

    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:  # noqa: ANN401 - click's signature
        """Read it."""
        host, _, port = str(value).rpartition(":")
        if not port.isdecimal() or not host or int(port) > _LARGEST_PORT:
            self.fail(f"{value!r} is no address; write HOST:PORT, such as 127.0.0.1:8090", param, ctx)
        return host.strip("[]"), int(port)
