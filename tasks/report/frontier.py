"""The frontier of the hand-written methods, and where a learned one lies against it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from tasks.report.estimate import combine


@final
@dataclass(frozen=True, slots=True)
class Point:
    """A method as cost and worth.

    Attributes:
        name: the method.
        seconds: its training time.
        accuracy: its robust accuracy in [0, 1].
        stderr: the standard error of that accuracy; ``None`` if unknown.
    """

    name: str
    seconds: float
    accuracy: float
    stderr: float | None = None


@final
@dataclass(frozen=True, slots=True)
class Frontier:
    """The upper-left hull of some points: what their best mixture reaches at each training time.

    It starts at the fastest point, rises with ever smaller slope to the most accurate one, and is level after it.

    Attributes:
        corners: its points, from the fastest to the most accurate.
    """

    corners: tuple[Point, ...]

    @classmethod
    def of(cls, points: Iterable[Point]) -> Frontier:
        """Build the frontier of ``points`` (none give an empty one)."""
        corners: list[Point] = []
        for point in sorted(points, key=lambda p: (p.seconds, -p.accuracy)):
            if corners and point.accuracy <= corners[-1].accuracy:
                continue  # slower and no better
            while len(corners) > 1 and not _bends_down(corners[-2], corners[-1], point):
                corners.pop()
            corners.append(point)
        return cls(tuple(corners))

    def at(self, seconds: float) -> tuple[float, float | None] | None:
        """Return the frontier's accuracy at a training time with its standard error.

        Between two corners both are interpolated in time; ``None`` if every corner takes longer than ``seconds``.
        """
        if not self.corners or seconds < self.corners[0].seconds:
            return None
        for left, right in zip(self.corners, self.corners[1:], strict=False):
            if seconds < right.seconds:
                w = (seconds - left.seconds) / (right.seconds - left.seconds)
                height = (1 - w) * left.accuracy + w * right.accuracy
                return height, combine((1 - w, w), (left.stderr, right.stderr))
        return self.corners[-1].accuracy, self.corners[-1].stderr


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """How far a method lies above the frontier at its own training time.

    Attributes:
        name: the method.
        margin: its accuracy minus the frontier's; below 0 it lies under the frontier.
        stderr: the standard error of the margin; ``None`` if unknown.
    """

    name: str
    margin: float
    stderr: float | None

    @property
    def clear(self) -> bool:
        """Whether the margin is more than two standard errors from 0."""
        return self.stderr is not None and abs(self.margin) > 2 * self.stderr

    @property
    def words(self) -> str:
        """The verdict in words."""
        if not self.clear:
            return "not distinguishable"
        return "above" if self.margin > 0 else "below"


def compare(points: Sequence[Point], frontier: Frontier) -> list[Verdict]:
    """Say for each point that is not faster than the whole frontier how far above it it lies, best first."""
    verdicts = []
    for point in points:
        height = frontier.at(point.seconds)
        if height is not None:
            error = combine((1.0, 1.0), (point.stderr, height[1]))
            verdicts.append(Verdict(point.name, point.accuracy - height[0], error))
    return sorted(verdicts, key=lambda verdict: -verdict.margin)


def _bends_down(first: Point, middle: Point, last: Point) -> bool:
    """Whether the slope falls at ``middle``, without dividing by a time that may be 0."""
    rise = (middle.accuracy - first.accuracy) * (last.seconds - middle.seconds)
    return rise > (last.accuracy - middle.accuracy) * (middle.seconds - first.seconds)
