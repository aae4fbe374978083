"""What a curve of returns says about reaching a goal, and about holding it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

WINDOW: Final = 25
"""Iterations of a window."""


@final
@dataclass(frozen=True)
class Goal:
    """When a policy counts as good.

    Attributes:
        reach: the return that a window must have for the goal to be reached.
        hold: the return below which a later window counts as a fall.
    """

    reach: float
    hold: float


@final
@dataclass(frozen=True)
class Stability:
    """How one training reached its goal, and whether it stayed there.

    Attributes:
        reached: the first iteration whose window is at the goal; ``None`` if none is. The next four are ``None`` then.
        steps: the environment steps until then.
        held: the share of the later windows that hold it; ``None`` if there is none.
        worst: the lowest of the later windows; ``None`` if there is none.
        mean_after: the mean return over the later iterations; ``None`` if there is none.
        best: the highest window; ``None`` if there are too few iterations for a window.
        final: the last window; ``None`` likewise.
    """

    reached: int | None
    steps: int | None
    held: float | None
    worst: float | None
    mean_after: float | None
    best: float | None
    final: float | None


def trailing_means(returns: Sequence[float], window: int = WINDOW) -> list[float]:
    r"""Return the trailing mean of each iteration, NaN for the first ones, which have too few before them.

    $$M_t = \frac{1}{w} \sum_{s=t-w+1}^{t} R_s$$

    R_s is the mean true return of the episodes that ended in iteration s. An iteration in which none ended is NaN and
    is left out of its windows.
    """
    means = [math.nan] * len(returns)
    for end in range(window, len(returns) + 1):
        known = [value for value in returns[end - window : end] if not math.isnan(value)]
        if known:
            means[end - 1] = math.fsum(known) / len(known)
    return means


def stability(returns: Sequence[float], steps: Sequence[float], goal: Goal, window: int = WINDOW) -> Stability:
    """Return how a training fared.

    "Later" is what comes after the iteration t in which the goal was reached: iterations s > t, and the windows M_s
    that end there (they overlap, the first ones with the time before t too).

    Args:
        returns: R_s, an iteration each, from the first; NaN where no episode ended.
        steps: the environment steps so far, an iteration each.
        goal: what counts.
        window: w.
    """
    means = trailing_means(returns, window)
    known = [mean for mean in means if not math.isnan(mean)]
    best, final = (max(known), known[-1]) if known else (None, None)
    place = next((i for i, mean in enumerate(means) if mean >= goal.reach), None)
    if place is None:
        return Stability(None, None, None, None, None, best, final)
    windows = [mean for mean in means[place + 1 :] if not math.isnan(mean)]
    after = [value for value in returns[place + 1 :] if not math.isnan(value)]
    return Stability(
        reached=place + 1,
        steps=int(steps[place]),
        held=sum(mean >= goal.hold for mean in windows) / len(windows) if windows else None,
        worst=min(windows) if windows else None,
        mean_after=math.fsum(after) / len(after) if after else None,
        best=best,
        final=final,
    )


def normalised(value: float, *, random: float, expert: float) -> float:
    r"""Return how far a return lies on the way from a random policy's to the expert's, $(R - r) / (e - r)$."""
    return (value - random) / (expert - random)
