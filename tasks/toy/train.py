"""A toy run: a game played in several ways, with pictures."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tasks.run import Run
from tasks.toy.config import ToyConfig
from tasks.toy.distance import distance_figure
from tasks.toy.portrait import phase_portraits
from tasks.toy.trajectory import Trajectory, play

POINTS = 2000
"""A trajectory is thinned to about so many points."""


def train_toy(config: ToyConfig, folder: str | Path, *, overwrite: bool = False, console: Console | None = None) -> Run:
    """Play the game in each of the ways that ``config`` names, and write down what happened.

    The run's folder then holds ``results.json`` (a record a method, see `toy_records`), a trajectory for each method in
    ``parts/METHOD/metrics.csv`` (step, coordinates, distance), ``figures/portraits.png`` and ``figures/distance.png``.

    Args:
        config: what to play.
        folder: the run's folder; it must not exist, or be empty.
        overwrite: whether a run that is already there is removed first.
        console: where the progress is shown; it is silent where that is no terminal.

    Returns:
        The run.

    Raises:
        ConfigurationError: if the folder is taken.
        RunError: if it cannot be written.
    """
    console = console or Console(stderr=True)
    run = Run.create(folder, {"task": "toy", **asdict(config)}, overwrite=overwrite)
    trajectories, seconds = [], []
    columns = (
        TextColumn("{task.description:>16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[distance]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bars = [progress.add_task(name, total=config.steps, distance="") for name in config.methods]
        for method, bar in zip(config.make_methods(), bars, strict=True):
            begin = time.perf_counter()
            trajectory = play(
                method.solver(config.make_game, config.step),
                config.steps,
                name=method.name,
                every=max(1, config.steps // POINTS),
                on_point=lambda count, bar=bar: progress.update(bar, completed=count),  # type: ignore[misc]
            )
            seconds.append(time.perf_counter() - begin)
            progress.update(bar, distance=f"ends at {float(trajectory.distance[-1]):.1e}")
            trajectories.append(trajectory)
    run.append_results(toy_records(config, trajectories, seconds))
    for trajectory in trajectories:
        _write(run.part(trajectory.name) / "metrics.csv", trajectory)
    phase_portraits(config.make_game(), trajectories).savefig(run.figures / "portraits.png")
    distance_figure(trajectories).savefig(run.figures / "distance.png")
    return run


def toy_records(
    config: ToyConfig, trajectories: Sequence[Trajectory], seconds: Sequence[float]
) -> list[dict[str, Any]]:
    """Return a flat record for each trajectory.

    Args:
        config: what was played.
        trajectories: how it went.
        seconds: how long each took.

    Returns:
        task, data (the game), method, seed, start_radius and radius (the norm of (x, y) at the start and the end),
        distance (to the equilibrium, at the end), step, steps (taken until the last finite point), diverged, seconds.
    """
    return [
        {
            "task": "toy",
            "data": config.game,
            "method": one.name,
            "seed": config.seed,
            "start_radius": _radius(one, 0),
            "radius": _radius(one, -1),
            "distance": float(one.distance[-1]),
            "step": config.step,
            "steps": int(one.steps[-1]),
            "diverged": one.diverged,
            "seconds": took,
        }
        for one, took in zip(trajectories, seconds, strict=True)
    ]


def _radius(trajectory: Trajectory, index: int) -> float:
    return float(torch.linalg.vector_norm(torch.cat([trajectory.x[index], trajectory.y[index]])))


def _write(path: Path, trajectory: Trajectory) -> None:
    """Write a trajectory as a table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        names = [f"{player}{i}" for player in "xy" for i in range(trajectory.x.shape[1])]
        table.writerow(["step", *names, "distance"])
        rows = torch.cat([trajectory.x, trajectory.y, trajectory.distance[:, None]], dim=1).tolist()
        table.writerows([count, *row] for count, row in zip(trajectory.steps.tolist(), rows, strict=True))
