"""Curves with a line a method, named at their ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from matplotlib.figure import Figure

from tasks.report.drawing.image import name_axes, new_figure
from tasks.report.drawing.labels import spread
from tasks.report.drawing.style import INK, MUTED, Style
from tasks.report.lines import EPS, ITERATIONS, Panel
from tasks.report.material import Training

_AXES = {EPS: "ε, the radius of the attack", ITERATIONS: "iterations of the attack"}
_TIMES = ("environment_steps", "epoch", "step")
MOST_POINTS = 60
_MARKED = 25  # curves of more points than this carry no markers


def curve_plot(panel: Panel, looks: Mapping[str, Style], *, width: float, height: float) -> Figure:
    """Draw robust accuracy in per cent, a line a method, shaded from the worst seed to the best."""
    figure, axes = new_figure(width, height)
    for line in panel.lines:
        look = looks[line.method]
        if line.low != line.high:
            axes.fill_between(
                line.x,
                [100 * y for y in line.low],
                [100 * y for y in line.high],
                color=look.color,
                alpha=0.12,
                linewidth=0,
            )
        _plot(axes, line.x, [100 * y for y in line.mean], look)
    every = [x for line in panel.lines for x in line.x]
    if panel.curve == ITERATIONS and max(every) >= 20 * max(1, min(every)):
        axes.set_xscale("symlog", linthresh=1, linscale=0.4)  # linear from 0, where the attack begins, to 1
        axes.set_xticks(_thinned(sorted(set(every))), minor=False)
        axes.set_xticks([], minor=True)
        axes.xaxis.set_major_formatter("{x:g}")
    top = max(100 * y for line in panel.lines for y in line.high)
    lowest = min(100 * y for line in panel.lines for y in line.low)
    # From 0, unless the lines would then lie on each other: a curve over iterations can have a small range.
    bottom = -1.5 if panel.curve == EPS or lowest < 0.5 * top else lowest - 0.15 * (top - lowest)
    axes.set_ylim(bottom, min(top + 0.06 * (top - bottom), 102.0))
    name_axes(axes, _AXES.get(panel.curve, panel.curve), "robust accuracy in %")
    # Lines that end in the same place, as all do at a large ε, are named in the order of their height before.
    ordered = sorted(panel.lines, key=lambda line: math.fsum(line.mean) / len(line.mean))
    _name_lines(figure, axes, [(line.method, line.x[-1], 100 * line.mean[-1]) for line in ordered], looks)
    return figure


def training_plot(
    column: str, trainings: Sequence[Training], looks: Mapping[str, Style], *, width: float, height: float
) -> Figure:
    """Draw one column of the metrics against steps or epochs, a line a training."""
    figure, axes = new_figure(width, height)
    ends: dict[str, tuple[str, float, float]] = {}
    shown: list[float] = []
    axis = next((name for name in _TIMES if all(_ascends(t.columns.get(name)) for t in trainings)), "row")
    for training in trainings:
        values = training.columns[column]
        xs = training.columns.get(axis) or [float(i + 1) for i in range(len(values))]
        pairs = [(x, y) for x, y in zip(xs, values, strict=True) if math.isfinite(x) and math.isfinite(y)]
        xs, ys = _averaged(pairs)
        if xs:
            _plot(axes, xs, ys, looks[training.name])
            ends[training.name] = (training.name, xs[-1], ys[-1])
            shown += ys
    positive = bool(shown) and min(shown) > 0
    if positive and max(shown) > 200 * min(shown):
        axes.set_yscale("log")
    name_axes(axes, axis.replace("_", " "), column.replace("_", " "))
    if len(ends) > 1:
        _name_lines(figure, axes, list(ends.values()), looks)
    return figure


def _ascends(values: Sequence[float] | None) -> bool:
    return values is not None and all(before < after for before, after in pairwise(values))


def _plot(axes: Any, xs: Sequence[float], ys: Sequence[float], look: Style) -> None:
    axes.plot(
        xs,
        ys,
        color=look.color,
        linestyle=look.dashes,
        linewidth=look.width,
        marker=look.marker if len(xs) <= _MARKED else None,
        markersize=5,
        markerfacecolor=look.face,
        markeredgecolor=look.color,
        markeredgewidth=1.2,
        zorder=3 if look.learned else 2,
    )


def _name_lines(
    figure: Figure, axes: Any, ends: Sequence[tuple[str, float, float]], looks: Mapping[str, Style]
) -> None:
    """Write each line's name right of the axes, moved apart and tied to its end."""
    low, high = axes.get_ylim()
    logarithmic = axes.get_yscale() == "log"
    share = [math.log(y / low) / math.log(high / low) if logarithmic else (y - low) / (high - low) for _, _, y in ends]
    line_height = 12.5 / 72 / (figure.get_figheight() * 0.8)
    for (name, x, y), wanted, placed in zip(ends, share, spread(share, line_height, 0.0, 1.0), strict=True):
        del wanted
        look = looks[name]
        axes.annotate(
            name,
            xy=(x, y),
            xytext=(1.055, placed),
            textcoords="axes fraction",
            va="center",
            ha="left",
            fontsize=9,
            fontweight="bold" if look.learned else "normal",
            color=INK[0] if look.learned else MUTED[0],
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-", "color": look.color, "linewidth": 0.9, "linestyle": look.dashes,
                "shrinkA": 1.5, "shrinkB": 3.0, "relpos": (0.0, 0.5),
            },
        ).set_parse_math(False)  # fmt: skip


def _averaged(pairs: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Average neighbours, in groups of nearly the same size, until a line can show every point."""
    count = min(len(pairs), MOST_POINTS)
    bounds = [len(pairs) * i // count for i in range(count + 1)] if count else [0]
    groups = [pairs[begin:end] for begin, end in pairwise(bounds)]
    return (
        [math.fsum(x for x, _ in group) / len(group) for group in groups],
        [math.fsum(y for _, y in group) / len(group) for group in groups],
    )


def _thinned(values: Sequence[float]) -> list[float]:
    """Keep the ticks that leave room for their numbers on a logarithmic axis."""
    kept: list[float] = []
    for value in values:
        if not kept or value >= 1.6 * kept[-1]:
            kept.append(value)
    return kept
