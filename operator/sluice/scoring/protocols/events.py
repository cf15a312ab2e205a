"""Server-sent events, as bytes arrive (HTML Living Standard, section 9.2.6 "Interpreting an event stream").

Only the data of events is of interest; names, ids and retry times are dropped, comments too. The caller bounds bytes and events. Time is linear in the
bytes, however small the pieces are in which they come.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_LINE_END: Final = re.compile(rb"\r\n?|\n")
_CR: Final = 0x0D
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class EventReader:
    """Feed it bytes, take the data of the events that they complete. What no blank line ends is no event, as the standard says."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._data: list[bytes] = []
        self._first_line = True
        self._after_cr = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The data of each event that ends in `piece`."""
        start = 0
        if self._after_cr and piece.startswith(b"\n"):
            # The second half of a CR LF that fell between two pieces.
            start = 1
        if piece:
            self._after_cr = piece[-1] == _CR
        for end in _LINE_END.finditer(piece, start):
            self._line += piece[start : end.start()]
            start = end.end()
            line, self._line = bytes(self._line), bytearray()
            yield from self._take(line)
        self._line += piece[start:]

    def _take(self, line: bytes) -> Iterator[bytes]:
        if self._first_line:
            line = line.removeprefix(_BYTE_ORDER_MARK)
            self._first_line = False
        if not line:
            if self._data:
                yield b"\n".join(self._data)
                self._data = []
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
