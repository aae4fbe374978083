"""How far the players are from the equilibrium, step by step."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from bilevel.errors import ConfigurationError
from tasks.toy.trajectory import Trajectory

COLOURS = ("#4269d0", "#e69f00", "#3ca951", "#d1495b", "#8a63b5", "#7a6352")
STYLES = ("-", (0, (6, 2)), (0, (1, 1.5)), "-", (0, (6, 2)), (0, (1, 1.5)))


def distance_figure(trajectories: Sequence[Trajectory]) -> Figure:
    """Draw the distance to the equilibrium against the number of steps, on a logarithmic scale.

    Args:
        trajectories: what to draw, a line each. A distance of exactly 0 cannot be shown and is left out.

    Returns:
        The figure.

    Raises:
        ConfigurationError: if there is no trajectory.
    """
    if not trajectories:
        raise ConfigurationError("distance_figure needs at least one trajectory.")
    figure = Figure(figsize=(7.2, 4.0), dpi=160, layout="constrained")
    axes = figure.subplots()
    for index, one in enumerate(trajectories):
        seen = one.distance > 0
        axes.plot(
            one.steps[seen].numpy(), one.distance[seen].numpy(), label=one.name, linewidth=1.8,
            color=COLOURS[index % len(COLOURS)], linestyle=STYLES[index % len(STYLES)],
        )  # fmt: skip
    lowest = min(float(one.distance[one.distance > 0].min()) for one in trajectories if (one.distance > 0).any())
    axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("distance to the equilibrium")
    axes.set_ylim(bottom=max(lowest / 3, 1e-16))
    axes.grid(visible=True, which="major", color="#e3e6ea", linewidth=0.8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False)
    return figure
