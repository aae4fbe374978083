"""Curves of returns against environment steps, with the spread over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from tasks.report.drawing.image import name_axes, new_figure
from tasks.report.drawing.style import INK, MUTED, Style

MOST_POINTS: Final = 100


@final
@dataclass(frozen=True)
class Curve:
    """The mean returns of a training.

    Attributes:
        steps: the environment steps so far, an iteration each.
        returns: R, an iteration each; NaN where no episode ended.
    """

    steps: tuple[float, ...]
    returns: tuple[float, ...]


def return_plot(
    curves: Mapping[str, Sequence[Curve]],
    looks: Mapping[str, Style],
    levels: Mapping[str, float],
    *,
    width: float = 7.0,
    height: float = 4.2,
) -> Figure:
    """Draw a line a method, the mean over its seeds, shaded from the worst seed to the best.

    Args:
        curves: the trainings of each method, a seed each; neighbouring iterations are averaged to `MOST_POINTS`.
        looks: how each method is drawn.
        levels: returns to draw as horizontal lines, by name.
        width: in inches.
        height: in inches.
    """
    figure, axes = new_figure(width, height)
    for name, level in levels.items():
        axes.axhline(level, color=MUTED[0], linewidth=0.9, linestyle=(0, (1, 2)))
        axes.annotate(name, (0.0, level), xycoords=("axes fraction", "data"), xytext=(4, 3),
                      textcoords="offset points", fontsize=8, color=MUTED[0])  # fmt: skip
    for method, seeds in curves.items():
        if not (points := _points(seeds)):
            continue
        look = looks[method]
        steps, low, mean, high = zip(*points, strict=True)
        if len(seeds) > 1:
            axes.fill_between(steps, low, high, color=look.color, alpha=0.12, linewidth=0)
        axes.plot(steps, mean, color=look.color, linestyle=look.dashes, linewidth=look.width, label=method)
    name_axes(axes, "environment steps", "true return")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 200k: whole numbers run into each other
    # Beside the lines, which may lie on one another at their ends.
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9, labelcolor=INK[0])
    return figure


def _points(seeds: Sequence[Curve]) -> list[tuple[float, float, float, float]]:
    """Return steps and the lowest, mean and highest return over the seeds, in groups of iterations."""
    length = max((len(curve.returns) for curve in seeds), default=0)
    size = max(1, math.ceil(length / MOST_POINTS))
    points = []
    for begin in range(0, length, size):
        part = slice(begin, begin + size)
        means = [found for curve in seeds if (found := _mean(curve.returns[part])) is not None]
        steps = [found for curve in seeds if (found := _mean(curve.steps[part])) is not None]
        if means and steps:
            points.append((statistics.fmean(steps), min(means), statistics.fmean(means), max(means)))
    return points


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if not math.isnan(value)]
    return statistics.fmean(known) if known else None
