"""Curves of networks in training: a panel a radius, a line a method."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from tasks.report.drawing.image import name_axes
from tasks.report.drawing.style import GRID, INK, MUTED, SURFACE, Style, styles

FIELDS: Final = ("adversarial_loss", "robust", "clean_loss", "clean")
"""What a curve has at each step."""

WORDS: Final = {
    "adversarial_loss": "loss on adversarial test images",
    "robust": "accuracy on adversarial test images",
    "clean_loss": "loss on clean test images",
    "clean": "accuracy on clean test images",
}


def panels(curves: Sequence[Mapping[str, Any]], field: str = "adversarial_loss") -> Figure:
    """Draw the mean over the seeds of each method, shaded from the lowest to the highest.

    Args:
        curves: the records of a comparison's curves.
        field: what is drawn, one of `FIELDS`; losses on a logarithmic scale.
    """
    radii = sorted({record["eps"] for record in curves}, key=lambda eps: eps or 0.0)
    looks = styles((record["method"], record["kind"]) for record in curves)
    width = max(6.5, 1.2 + 3.0 * len(radii))
    figure = Figure(figsize=(width, 4.8), dpi=100, facecolor=SURFACE[0], layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(radii), squeeze=False, sharey=True)[0]
    handles: dict[str, Any] = {}
    for one, eps in zip(axes, radii, strict=True):
        _dress(one, "" if eps is None else f"ε = {eps:g}", loss=field.endswith("loss"))
        for method, look in looks.items():
            points = _points([r for r in curves if r["eps"] == eps and r["method"] == method and field in r], field)
            if points:
                handles[method] = _draw(one, points, look)
        name_axes(one, "updates", WORDS[field] if one is axes[0] else "")
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=int(width // 3),
                  frameon=False, fontsize=9, labelcolor=INK[0])  # fmt: skip
    return figure


def table_of(curves: Sequence[Mapping[str, Any]]) -> str:
    """Return what `panels` draws as CSV: radius, method, step, seeds, and mean, lowest and highest of each field."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    spread = [f"{field}_{what}" for field in FIELDS for what in ("mean", "low", "high")]
    writer.writerow(["eps", "method", "step", "seeds", *spread])
    keys = dict.fromkeys((record["eps"], record["method"], record["x"]) for record in curves)
    for eps, method, step in keys:
        rows = [r for r in curves if (r["eps"], r["method"], r["x"]) == (eps, method, step)]
        cells: list[Any] = []
        for field in FIELDS:
            values = [row[field] for row in rows if field in row]
            cells += [statistics.fmean(values), min(values), max(values)] if values else ["", "", ""]
        writer.writerow([eps, method, step, len(rows), *cells])
    return out.getvalue()


def _points(records: Sequence[Mapping[str, Any]], field: str) -> list[tuple[float, float, float, float]]:
    """Return steps with the lowest, mean and highest value over the seeds."""
    found = []
    for step in sorted({record["x"] for record in records}):
        values = [record[field] for record in records if record["x"] == step]
        found.append((float(step), min(values), statistics.fmean(values), max(values)))
    return found


def _draw(axes: Any, points: Sequence[tuple[float, float, float, float]], look: Style) -> Any:
    steps, low, mean, high = zip(*points, strict=True)
    axes.fill_between(steps, low, high, color=look.color, alpha=0.12, linewidth=0)
    (line,) = axes.plot(steps, mean, color=look.color, linestyle=look.dashes, linewidth=look.width)
    return line


def _dress(axes: Any, title: str, *, loss: bool) -> None:
    axes.set_facecolor(SURFACE[0])
    axes.set_title(title, fontsize=10, color=INK[0])
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if loss:
        axes.set_yscale("log")
        axes.set_yticks([0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 8, 12, 16])
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    axes.tick_params(which="both", colors=MUTED[0], labelsize=9, length=3, width=0.8)
    axes.grid(visible=True, color=GRID[0], linewidth=0.8)
    axes.set_axisbelow(True)
