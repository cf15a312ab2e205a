"""What a file of live answers holds at most: who keeps one and who reads it go by the same numbers.

They stand here because who keeps one needs nothing else of scoring.
"""

from __future__ import annotations

from typing import Final

FETCH_BYTES: Final = 32 << 20
"""All that is fetched at a time."""
PROBED_MOST: Final = 1000
"""Answers of one reading, the newest; and cases of one probe: a release that serves users has other things to do."""
LINE_BYTES: Final = 16 << 20
"""Two answers that are as long as a client takes them, and the question."""
VALUES: Final = 2_000_000
"""JSON values of a line: two embeddings, or the tensors of two answers, and commas in texts, which are counted too."""
