"""A run that trains a rule on games and counts what it needs on games that it never saw."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from bilevel.learned import save
from bilevel.progress import Progress
from tasks.report.drawing.image import name_axes, new_figure, png
from tasks.run import Run
from tasks.toy.family_play import Play, extragradient, first_hits, learned, optimistic, steps_for
from tasks.toy.game_batch import Games
from tasks.toy.rule_config import RuleConfig
from tasks.toy.rule_file import load_rule
from tasks.toy.train_rule import TrainedRule, train_rule

TARGETS = (1e-2, 1e-4, 1e-6)
"""The shares of the distance at the start to which evaluations are counted."""
UNSEEN = 1_000_000
"""Is added to the seed for the games of the test."""
_PEERS: dict[str, Callable[[Games, Tensor], Play]] = {"extragradient": extragradient, "optimistic": optimistic}
_MEAN = 40


def train_toy_rule(
    config: RuleConfig,
    folder: str | Path,
    *,
    unseen: int = 128,
    most: int = 1000,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Train a rule, compare it on unseen games, and write down what came of it.

    The run's folder then holds ``checkpoints/rule.safetensors`` (see `load_rule`), ``metrics.csv`` (the loss of each
    window), ``figures/training.png`` and ``results.json``: for the rule, and for extragradient and optimistic steps
    *each at its best step size for every single game*, the gradient evaluations to shares of the distance at the start.

    Args:
        config: the training.
        folder: the run's folder; it must not exist, or be empty.
        unseen: how many games of the family the comparison has, drawn with another seed.
        most: the evaluations after which a game has not arrived.
        overwrite: whether a run that is already there is removed first.
        progress: is told how the training goes.

    Returns:
        The run.

    Raises:
        ConfigurationError: if the folder is taken or a setting is out of its range.
        NonFiniteError: if the training's loss is not finite.
    """
    games = config.family.draw(unseen, torch.Generator().manual_seed(config.seed + UNSEEN))
    about = {"task": "toy-rule", **asdict(config), "unseen": unseen, "most": most}
    run = Run.create(folder, about, overwrite=overwrite)
    trained = train_rule(config, progress)
    save(trained.rule, run.checkpoints / "rule.safetensors", asdict(config))
    _write_losses(trained, run.metrics)
    (run.figures / "training.png").write_bytes(png(training_figure(trained.losses)))
    rule = load_rule(run.checkpoints / "rule.safetensors", batched=True)
    hits = {"learned": first_hits(games, learned(games, rule), TARGETS, most)}
    hits |= {name: best_per_game(games, play, most) for name, play in _PEERS.items()}
    run.append_results(_record(name, found, config, trained) for name, found in hits.items())
    return run


def best_per_game(
    games: Games, play: Callable[[Games, Tensor], Play], most: int, steps: Float[Tensor, "steps games"] | None = None
) -> Float[Tensor, "targets games"]:
    """Return `first_hits` with the step size that is best for each game and each target by itself."""
    steps = steps_for(games) if steps is None else steps
    return first_hits(games, play(games, steps), TARGETS, most).min(dim=1).values


def quantile(hits: Float[Tensor, " games"], share: float) -> float:
    """Return a quantile, one of the numbers themselves; infinity if so many games did not arrive."""
    return float(torch.quantile(hits, share, interpolation="nearest"))


def training_figure(losses: Sequence[float]) -> Figure:
    """Draw the loss of each window and its mean over windows."""
    figure, axes = new_figure(7.0, 3.6)
    values = torch.tensor(losses, dtype=torch.float64)
    width = min(_MEAN, len(values))
    axes.plot(range(1, len(values) + 1), values, color="#c4c9d0", linewidth=0.8, label="a window")
    means = values.unfold(0, width, 1).mean(-1)
    axes.plot(range(width, len(values) + 1), means, color="#4269d0", linewidth=1.8, label=f"mean of {width}")
    name_axes(axes, "window of training", "mean log of the distance that is left")
    axes.legend(frameon=False, fontsize=8)
    return figure


def _record(name: str, hits: Tensor, config: RuleConfig, trained: TrainedRule) -> dict[str, Any]:
    record: dict[str, Any] = {"task": "toy-rule", "method": name, "data": "games", "seed": config.seed, "split": "test"}
    record |= {"n": hits.shape[-1]}
    for target, found in zip(TARGETS, hits, strict=True):
        for label, share in (("median", 0.5), ("p90", 0.9)):
            value = quantile(found, share)
            record[f"{label}_to_{target:g}"] = int(value) if value < torch.inf else None
        record[f"reached_{target:g}"] = float(found.isfinite().double().mean())
    if name == "learned":
        record |= {"seconds": trained.seconds, "training_evaluations": trained.evaluations}
    return record


def _write_losses(trained: TrainedRule, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["window", "leader_loss"])
        table.writerows(enumerate(trained.losses, 1))
