"""Server-sent events, as bytes arrive (HTML Living Standard, section 9.2.6 "Interpreting an event stream").

Only the data of events is of interest; names, ids and retry times are dropped, comments too. The caller bounds bytes and events. Time is linear in the
bytes, however small the pieces are in which they come.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

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
        # The second half of a CR LF that fell between two pieces belongs to the first.
        text = piece[1:] if self._after_cr and piece.startswith(b"\n") else piece
        self._after_cr = piece.endswith(b"\r") if piece else self._after_cr
        # `bytes` are split at LF, CR and CR LF, and at nothing else.
        lines = text.splitlines()
        unfinished = b"" if text.endswith((b"\n", b"\r")) or not lines else lines.pop()
        for line in lines:
            if self._line:
                yield from self._take(bytes(self._line) + line)
                self._line.clear()
            elif line or self._data or self._first_line:
                # Of many empty lines in a row only the first says something.
                yield from self._take(line)
        self._line += unfinished

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
