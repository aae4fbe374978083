"""Phase portraits: where the players of a game go, in the plane of their moves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from torch import nn

from bilevel.errors import ConfigurationError
from bilevel.task import Task
from tasks.toy.field import gradient_field
from tasks.toy.trajectory import Trajectory

ARROWS = 15
"""Arrows of the field along an axis."""

SHARED = 4.0
"""Portraits share their scale unless the largest is so many times the smallest."""

MOST_COLUMNS = 5

INK, PALE, MARK = "#222222", "#c4c9d0", "#d1495b"


def phase_portraits(
    task: Task[Any, Any], trajectories: Sequence[Trajectory], *, equilibrium: tuple[float, float] | None = (0.0, 0.0)
) -> Figure:
    """Draw each trajectory in the plane of the leader's and the follower's first coordinate, side by side.

    The arrows show where simultaneous gradients push, all of one length; they are drawn where each player is one
    number. The colour is the time.

    Args:
        task: the game, or any other task that needs no batch; it is left as it was.
        trajectories: what to draw, a panel each.
        equilibrium: the point to mark, in this plane; ``None`` for none.

    Returns:
        The figure; ``figure.savefig(path)`` writes it.

    Raises:
        ConfigurationError: if there is no trajectory.
    """
    if not trajectories:
        raise ConfigurationError("phase_portraits needs at least one trajectory.")
    centre = equilibrium or (0.0, 0.0)
    reaches = [_reach(one, centre) for one in trajectories]
    if max(reaches) <= SHARED * min(reaches):
        reaches = [max(reaches)] * len(reaches)
    columns = min(len(trajectories), MOST_COLUMNS)
    rows = math.ceil(len(trajectories) / columns)
    figure = Figure(figsize=(3.1 * columns + 1.0, 3.7 * rows + 0.3), dpi=160, layout="compressed")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    last = max(int(one.steps[-1]) for one in trajectories)
    time = PowerNorm(0.5, 0, last)  # what arrives, arrives early: the first steps get more of the colours
    lines = []
    for axes, one, reach in zip(grid, trajectories, reaches, strict=False):
        _draw_field(axes, task, centre, reach)
        lines.append(_draw_path(axes, one, time))
        if equilibrium is not None:
            axes.plot(*equilibrium, "+", color=INK, markersize=13, markeredgewidth=1.6, zorder=6, label="equilibrium")
        axes.set_xlim(centre[0] - reach, centre[0] + reach)
        axes.set_ylim(centre[1] - reach, centre[1] + reach)
        axes.set_aspect("equal")
        axes.set_xlabel("leader x")
        axes.set_title(f"{one.name}\n{_end(one)}", fontsize=10)
        axes.tick_params(labelsize=8)
    for axes in grid[len(trajectories) :]:
        axes.set_axis_off()
    for row in range(rows):
        grid[row * columns].set_ylabel("follower y")
    bar = figure.colorbar(lines[0], ax=grid.tolist(), fraction=0.02, pad=0.01)
    bar.set_label("step", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    marks = grid[0].get_lines()
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks), frameon=False, fontsize=9)
    return figure


def _reach(trajectory: Trajectory, centre: tuple[float, float]) -> float:
    """Return half the side of a square around ``centre`` that holds the trajectory, with a margin."""
    offsets = torch.stack([trajectory.x[:, 0] - centre[0], trajectory.y[:, 0] - centre[1]])
    return 1.15 * float(offsets.abs().max()) or 1.0


def _draw_field(axes: Axes, task: Task[Any, Any], centre: tuple[float, float], reach: float) -> None:
    """Draw the arrows, if the players are one number each."""
    leader = task.leader
    if not isinstance(leader, nn.Parameter) or leader.numel() != 1:
        return
    ticks = torch.linspace(-0.94 * reach, 0.94 * reach, ARROWS, dtype=torch.float64)
    xs, ys = centre[0] + ticks, centre[1] + ticks
    along_x, along_y = gradient_field(task, xs, ys)
    length = np.hypot(along_x, along_y)
    length[length == 0] = 1.0  # where nothing pushes, an arrow of length 0
    axes.quiver(
        *(xs.numpy(), ys.numpy(), along_x / length, along_y / length),
        color=PALE, pivot="mid", angles="xy", scale_units="width", scale=ARROWS * 1.55, width=0.0055, zorder=1,
    )  # fmt: skip


def _draw_path(axes: Axes, trajectory: Trajectory, time: Normalize) -> LineCollection:
    """Draw the trajectory coloured by time, with its two ends."""
    points = torch.stack([trajectory.x[:, 0], trajectory.y[:, 0]], dim=1).numpy()
    line = LineCollection(
        list(np.stack([points[:-1], points[1:]], axis=1)), cmap="viridis", norm=time, linewidths=1.7, zorder=3
    )
    line.set_array(trajectory.steps[1:].numpy())
    line.set_capstyle("round")
    axes.add_collection(line)
    ends: dict[str, Any] = {"markeredgecolor": INK, "linestyle": "none", "zorder": 5, "markeredgewidth": 1.2}
    axes.plot(*points[0], "o", markerfacecolor="white", markersize=7, label="start", **ends)
    axes.plot(*points[-1], "s", markerfacecolor=MARK, markersize=6, label="end", **ends)
    return line


def _end(trajectory: Trajectory) -> str:
    """Say in a few words where a trajectory ends."""
    if trajectory.diverged:
        return "runs away"
    distance = float(trajectory.distance[-1])
    if distance < 1e-12:
        return "ends at distance < 1e-12"
    return f"ends at distance {distance:.3f}" if 1e-2 <= distance < 1e4 else f"ends at distance {distance:.0e}"
