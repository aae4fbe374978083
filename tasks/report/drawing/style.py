"""Colours, markers and lines: what tells methods apart, without colour alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from tasks.report.material import LEARNED

# Every colour is a pair: on a light page, on a dark one. The light ones are all different, so that a drawing made
# with them can be turned into one that follows the reader's choice. Hand-written methods are cool, learned ones warm:
# that difference survives every common form of colour blindness, and fill and line style repeat it.
INK = ("#1c2430", "#e6ebf1")
MUTED = ("#5b6673", "#9aa6b4")
GRID = ("#e3e7ec", "#2a333e")
SURFACE = ("#ffffff", "#161c24")
FRONTIER = ("#8698ab", "#70839a")
BELOW = ("#eff3f8", "#1b232d")
COOL = (
    ("#0072b2", "#58b4ee"),
    ("#008a66", "#3ccba2"),
    ("#56697d", "#aebccb"),
    ("#3d9ad1", "#9ad7ff"),
    ("#3b4ba3", "#98a6ff"),
    ("#2d7b85", "#6fd0d8"),
)
WARM = (
    ("#d55e00", "#ff8f47"),
    ("#b3457f", "#f58fc0"),
    ("#b57f00", "#f0be4c"),
    ("#a3281c", "#ff7c6b"),
    ("#8d4fa8", "#d59bea"),
)
THEME: dict[str, tuple[str, str]] = {
    "ink": INK,
    "muted": MUTED,
    "grid": GRID,
    "surface": SURFACE,
    "frontier": FRONTIER,
    "below": BELOW,
    **{f"cool-{i}": pair for i, pair in enumerate(COOL)},
    **{f"warm-{i}": pair for i, pair in enumerate(WARM)},
}
_OPEN_MARKERS = ("o", "s", "^", "D", "v", "p", "<", "h", ">")
_FILLED_MARKERS = ("o", "D", "s", "^", "P", "v", "X", "p", "h")


@final
@dataclass(frozen=True, slots=True)
class Style:
    """How a method looks in every figure: filled marker and solid line if learned, open and dashed if not."""

    color: str
    marker: str
    learned: bool

    @property
    def face(self) -> str:
        """The colour inside the marker."""
        return self.color if self.learned else SURFACE[0]

    @property
    def dashes(self) -> str | tuple[int, tuple[float, float]]:
        """The line's pattern."""
        return "solid" if self.learned else (0, (3.2, 1.6))

    @property
    def width(self) -> float:
        """The line's width in points."""
        return 2.0 if self.learned else 1.4


def styles(methods: Iterable[tuple[str, str]]) -> dict[str, Style]:
    """Give each of the methods, named with their kind, a look of its own."""
    looks: dict[str, Style] = {}
    counts = {True: 0, False: 0}
    for name, kind in methods:
        if name in looks:
            continue
        learned = kind == LEARNED
        colors, markers = (WARM, _FILLED_MARKERS) if learned else (COOL, _OPEN_MARKERS)
        i = counts[learned]
        counts[learned] += 1
        looks[name] = Style(colors[i % len(colors)][0], markers[i % len(markers)], learned)
    return looks
