"""The grid on which differences are counted: integers only, so that sums do not depend on any order. Apart, because who reads tallies needs no numpy."""

from __future__ import annotations

from typing import Final

GRID: Final = 1000
"""Grid points between a difference of 0 and one of 1."""
WHOLE: Final = 1000
"""Weight of one unit."""
