"""From a figure to an image: SVG that follows the page's light and dark mode, or PNG."""

from __future__ import annotations

import io
import re
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from tasks.report.drawing.style import GRID, INK, MUTED, SURFACE, THEME

_DPI = 160


def new_figure(width: float, height: float) -> tuple[Figure, Any]:
    """Make a figure with one set of axes, in the report's look.

    Args:
        width: in inches.
        height: in inches.

    Returns:
        The figure and its axes.
    """
    figure = Figure(figsize=(width, height), dpi=100, facecolor=SURFACE[0], layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_facecolor(SURFACE[0])
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED[0])
        axes.spines[side].set_linewidth(0.8)
    axes.tick_params(which="both", colors=MUTED[0], labelsize=9, length=3, width=0.8)
    axes.grid(visible=True, color=GRID[0], linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def name_axes(axes: Any, horizontal: str, vertical: str) -> None:
    """Write the names of the axes."""
    # A dollar sign in a user's name is a dollar sign, not mathematics.
    axes.set_xlabel(horizontal, color=INK[0], fontsize=10, parse_math=False)
    axes.set_ylabel(vertical, color=INK[0], fontsize=10, parse_math=False)


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG file on a white ground."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def svg(figure: Figure, name: str) -> str:
    """Return the figure as an ``<svg>`` element to put into a page.

    Its colours are the page's custom properties, named as in `THEME`; its identifiers begin with ``name``, so that
    several can stand in one page.
    """
    buffer = io.StringIO()
    FigureCanvasSVG(figure)
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = text.replace("xlink:href", "href")
    box = re.search(r'viewBox="([^"]*)"', text)
    text = re.sub(r"<svg[^>]*>", f'<svg viewBox="{box.group(1) if box else ""}" aria-hidden="true">', text, count=1)
    for variable, (light, _) in THEME.items():
        text = text.replace(light, f"var(--{variable})")
    # Matplotlib's identifiers hold a random part: numbered instead, the same report is the same file.
    numbers: dict[str, str] = {}
    for identifier in re.findall(r'\bid="([^"]*)"', text):
        numbers.setdefault(identifier, f"{name}-{len(numbers)}")
    text = re.sub(r'\bid="([^"]*)"', lambda m: f'id="{numbers[m[1]]}"', text)
    text = re.sub(r'href="#([^"]*)"', lambda m: f'href="#{numbers.get(m[1], m[1])}"', text)
    text = re.sub(r"url\(#([^)]*)\)", lambda m: f"url(#{numbers.get(m[1], m[1])})", text)
    return re.sub(r"\n\s*", "\n", text).strip()
