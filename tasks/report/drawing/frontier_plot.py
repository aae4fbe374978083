"""Robust accuracy against training time, with the frontier of the hand-written methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from tasks.report.drawing.image import name_axes, new_figure
from tasks.report.drawing.labels import Box, place
from tasks.report.drawing.style import BELOW, FRONTIER, INK, MUTED, Style
from tasks.report.frontier import Frontier, Point

_LOGARITHMIC_FROM = 40.0  # the ratio of the longest to the shortest time from which their logarithm is shown
_WORTH_COMPARING = 0.5  # the share of the best accuracy below which a point does not set the scale
_FAR = 18.0  # pixels from which a label is tied to its point by a line


def frontier_plot(
    points: Sequence[Point], frontier: Frontier, looks: Mapping[str, Style], *, width: float, height: float
) -> Figure:
    """Draw methods as points, with one standard error up and down, and the frontier as a line.

    Args:
        points: the methods.
        frontier: the frontier of the hand-written ones among them.
        looks: how each method looks.
        width: of the figure, in inches.
        height: of the figure, in inches.

    Returns:
        The figure; accuracies are in per cent, times in seconds.
    """
    figure, axes = new_figure(width, height)
    times = [point.seconds for point in points]
    logarithmic = min(times) > 0 and max(times) > _LOGARITHMIC_FROM * min(times)
    _scale(axes, points, logarithmic=logarithmic)
    name_axes(axes, "training time in seconds" + (", logarithmic" if logarithmic else ""), "robust accuracy in %")
    line = _line(axes, frontier)
    floor = axes.get_ylim()[0]
    shown = []
    for point in points:
        look, below = looks[point.name], 100 * point.accuracy < floor
        height = floor + 0.08 * (axes.get_ylim()[1] - floor) if below else 100 * point.accuracy
        if below:
            axes.annotate(
                "",
                (point.seconds, floor),
                (point.seconds, height),
                arrowprops={"arrowstyle": "->", "color": look.color},
            )
        axes.errorbar(
            point.seconds,
            height,
            yerr=None if point.stderr is None or below else 100 * point.stderr,
            color=look.color,
            elinewidth=1.2,
            capsize=2.5,
            marker=look.marker,
            markersize=9 if look.learned else 7.5,
            markerfacecolor=look.face,
            markeredgecolor=look.color,
            markeredgewidth=1.6,
            zorder=4 if look.learned else 3,
        )
        error = 100 * (point.stderr or 0.0)
        low, high = (floor, height) if below else (height - error, height + error)
        text = f"{point.name} ({100 * point.accuracy:.1f} %)" if below else point.name
        shown.append(_Shown(point.seconds, height, low, high, text, look.learned))
    _label(figure, axes, shown, line)
    return figure


class _Shown(NamedTuple):
    """Where a point and its bar or arrow are drawn, in the axes' units, and what is written beside it."""

    x: float
    y: float
    low: float
    high: float
    text: str
    learned: bool


def _scale(axes: Any, points: Sequence[Point], *, logarithmic: bool) -> None:
    best = max(point.accuracy for point in points)
    # A method without any robustness would squeeze the others together: it is shown at the lower edge, with its value.
    high_enough = [point for point in points if point.accuracy >= _WORTH_COMPARING * best]
    low = min(100 * (point.accuracy - (point.stderr or 0)) for point in high_enough)
    high = max(100 * (point.accuracy + (point.stderr or 0)) for point in high_enough)
    room = max(high - low, 4.0) * (0.12 if len(high_enough) == len(points) else 0.25)
    axes.set_ylim(max(low - room, -4.0), min(high + 0.12 * max(high - low, 4.0), 104.0))
    times = [point.seconds for point in points]
    if logarithmic:
        axes.set_xscale("log")
        axes.set_xlim(min(times) / 1.5, max(times) * 1.5)
        axes.xaxis.set_major_formatter("{x:g}")
    else:
        axes.set_xlim(0, max(times) * 1.12 or 1.0)
    axes.grid(visible=True, which="major")


def _line(axes: Any, frontier: Frontier) -> list[tuple[float, float]]:
    """Draw the frontier and the ground below it; return points along it."""
    if not frontier.corners:
        return []
    begin, end = frontier.corners[0].seconds, axes.get_xlim()[1]
    grid = sorted({*np.linspace(begin, end, 200).tolist(), *(corner.seconds for corner in frontier.corners)})
    reached = [(x, 100 * at[0]) for x in grid if (at := frontier.at(x)) is not None]
    xs, ys = [x for x, _ in reached], [y for _, y in reached]
    axes.fill_between(xs, ys, axes.get_ylim()[0], color=BELOW[0], linewidth=0, zorder=0.5)
    last = frontier.corners[-1].seconds
    axes.plot(
        [x for x in xs if x <= last], ys[: sum(x <= last for x in xs)], color=FRONTIER[0], linewidth=1.8, zorder=2
    )
    # Beyond the last corner nothing was measured: the best is only carried on.
    level = [x for x in xs if x >= last]
    axes.plot(level, [ys[-1]] * len(level), color=FRONTIER[0], linewidth=1.2, linestyle=(0, (1, 2)), zorder=2)
    return reached


def _label(figure: Figure, axes: Any, shown: Sequence[_Shown], line: Sequence[tuple[float, float]]) -> None:
    texts = [
        axes.text(
            point.x,
            point.y,
            point.text,
            color=INK[0] if point.learned else MUTED[0],
            fontsize=9,
            fontweight="bold" if point.learned else "normal",
            ha="center",
            va="center",
            zorder=5,
            parse_math=False,
        )
        for point in shown
    ]
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    to_pixels, to_data = axes.transData.transform, axes.transData.inverted().transform
    anchors = [tuple(to_pixels((point.x, point.y))) for point in shown]
    extents = [text.get_window_extent(renderer) for text in texts]
    obstacles = [Box(x - 9, y - 9, x + 9, y + 9) for x, y in anchors]
    for point in shown:
        x, low = to_pixels((point.x, point.low))
        obstacles.append(Box(x - 4, low, x + 4, to_pixels((point.x, point.high))[1]))
    for (x0, y0), (x1, y1) in pairwise(to_pixels(p) for p in line):
        pieces = 1 + int(max(abs(x1 - x0), abs(y1 - y0)) // 4)
        along = ((x0 + (x1 - x0) * k / pieces, y0 + (y1 - y0) * k / pieces) for k in range(pieces))
        obstacles += [Box(x - 2, y - 2, x + 2, y + 2) for x, y in along]
    area = axes.get_window_extent(renderer)
    bounds = Box(area.x0 + 2, area.y0 + 2, area.x1, area.y1)
    places = place(anchors, [(e.width + 4, e.height + 2) for e in extents], obstacles, bounds)
    for text, box, (x, y) in zip(texts, places, anchors, strict=True):
        text.set_position(to_data(((box.left + box.right) / 2, (box.bottom + box.top) / 2)))
        nearest = (min(max(x, box.left), box.right), min(max(y, box.bottom), box.top))
        if (nearest[0] - x) ** 2 + (nearest[1] - y) ** 2 > _FAR**2:
            ends = to_data([nearest, (x, y)])
            axes.plot(ends[:, 0], ends[:, 1], color=MUTED[0], linewidth=0.7, zorder=1.5)
