"""A run that trains an expert and records what it does."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bilevel.progress import Progress
from tasks.gail.demonstrations import Demonstrations, save
from tasks.gail.demonstrations.shipped import file_name
from tasks.gail.environments import make
from tasks.gail.expert import Evaluation, Expert, record_expert, train_expert
from tasks.gail.expert_config import ExpertConfig
from tasks.gail.expert_policy import ExpertPolicy
from tasks.run import Run
from tasks.settings import to_dict


def train_gail_expert(
    config: ExpertConfig,
    folder: str | Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    about: Mapping[str, Any] | None = None,
) -> Run:
    """Train an expert, and write down it, its training and its demonstrations.

    The run's folder then holds ``checkpoints/expert.pt`` (the best policy, from the first evaluation on; see
    `ExpertPolicy.load`), ``metrics.csv`` (a row an evaluation), ``demonstrations/`` (see `demonstrations.load`) and
    ``results.json``.

    Args:
        config: the settings.
        folder: the run's folder; it must not exist, or be empty.
        overwrite: whether a run that is already there is removed first.
        progress: is told how the training goes.
        about: further plain values to write into the run's configuration and beside the demonstrations, such as the
            command.

    Returns:
        The run.

    Raises:
        ConfigurationError: for an unknown environment, or if the folder is taken.
        NonFiniteError: if the policy's weights are not finite.
    """
    make(config.env, count=1, seed=config.seed).close()  # a name that is none is to leave no folder
    about = about or {}
    run = Run.create(folder, {"task": "gail-expert", **to_dict(config), **about}, overwrite=overwrite)
    with run.metrics.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["steps", "return", "deviation"])

        def keep(evaluation: Evaluation, best: ExpertPolicy) -> None:
            table.writerow([evaluation.steps, evaluation.mean, evaluation.deviation])
            file.flush()
            best.save(run.checkpoints / "expert.pt")

        expert = train_expert(config, progress, keep)
    kinds = {"trpo": expert.returns, "trpo, likeliest actions": expert.likeliest}
    records = [_record(config, kind, config.env, returns, split="test") for kind, returns in kinds.items()]
    for horizon in (None, *config.horizons):
        demonstrations = demonstrate(expert, config, horizon, about)
        name = file_name(config.env, horizon)
        save(demonstrations, run.path / "demonstrations" / name)
        records.append(_record(config, "trpo", name, demonstrations.returns, split="demonstrations"))
    run.append_results({**record, "steps": expert.best.steps} for record in records)
    return run


def demonstrate(
    expert: Expert, config: ExpertConfig, horizon: int | None, about: Mapping[str, Any] | None = None
) -> Demonstrations:
    """Return what an expert demonstrates, subsampled as ``config`` says.

    Args:
        expert: who.
        config: its settings.
        horizon: the steps of each episode if that is fixed.
        about: what to write beside.
    """
    played = record_expert(expert.policy, config, horizon)
    origin = {
        "expert": "sb3-contrib's TRPO",
        "steps": expert.best.steps,
        "test_return": float(expert.returns.mean()),
        "test_deviation": float(expert.returns.std()),
        "test_episodes": len(expert.returns),
        "actions": "likeliest" if config.deterministic else "drawn",
        "seed": config.seed,
        **(about or {}),
    }
    actions = played.actions.astype(np.float32 if played.actions.ndim > 1 else np.int64)
    everything = Demonstrations(
        config.env, horizon, played.observations.astype(np.float32), actions, played.lengths, played.returns, origin
    )
    return everything.subsample(config.subsample, config.seed)


def _record(config: ExpertConfig, method: str, data: str, returns: np.ndarray, *, split: str) -> dict[str, Any]:
    return {
        "task": "gail-expert", "method": method, "data": data, "seed": config.seed, "split": split, "n": len(returns),
        "return": float(returns.mean()), "deviation": float(returns.std()), "least": float(returns.min()),
    }  # fmt: skip
