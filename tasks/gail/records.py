"""What a training came to, as a flat record."""

from __future__ import annotations

import csv
import dataclasses
import math
from pathlib import Path
from typing import Any, Final

import numpy as np

from tasks.gail.build import Training
from tasks.gail.config import GAILConfig
from tasks.gail.demonstrations import Demonstrations
from tasks.gail.evaluation import returns_of
from tasks.gail.windows import Goal, Stability, stability

REACH: Final = {("CartPole-v1", None): 450.0, ("CartPole-v1", 500): 450.0,
                ("MountainCar-v0", None): -118.0, ("MountainCar-v0", 200): -118.0}  # fmt: skip
"""For an environment and a horizon the return of a good policy; elsewhere a tenth below the demonstrated returns."""


def goal_of(config: GAILConfig, demonstrations: Demonstrations) -> Goal | None:
    """Return when a policy counts as good, and when it has fallen: a tenth below that.

    Args:
        config: names the environment.
        demonstrations: tell what the expert earned.

    Returns:
        The goal; ``None`` where it is not known what the expert earned.
    """
    usual = float(demonstrations.returns.mean())
    reach = REACH.get((config.env, config.horizon), usual - 0.1 * abs(usual))
    return None if math.isnan(reach) else Goal(reach, reach - 0.1 * abs(reach))


def environment_of(config: GAILConfig) -> str:
    """Return the environment's name, with its horizon if that is fixed."""
    return config.env if config.horizon is None else f"{config.env}, {config.horizon} steps"


def method_of(config: GAILConfig) -> str:
    """Return the method's name, with the rule that moves the discriminator."""
    name = config.updater_settings.name
    return {"frozen": "frozen", "base": f"base of {name}"}.get(config.method, f"{config.method} {name}")


def record_of(training: Training, metrics: Path) -> dict[str, Any]:
    """Return what a finished training came to: `tasks.gail.windows.Stability` of its curve, and fresh episodes.

    Args:
        training: the training.
        metrics: its log.
    """
    config = training.config
    returns = returns_of(training.policy, config)
    return {
        **_identity(config, method_of(config)),
        **curve_numbers(metrics, goal_of(config, training.demonstrations), moved=config.method != "frozen"),
        **_fresh(returns),
        "environment_steps": training.learner.algorithm.num_timesteps,
        "iterations": training.solver.step_count,
        "diverged": False,
        "seconds": training.fitted.seconds if training.fitted else None,
    }


def diverged_record(config: GAILConfig, metrics: Path, goal: Goal | None) -> dict[str, Any]:
    """Return what a training came to whose updater diverged; its policy is not played."""
    return {**_identity(config, method_of(config)), **curve_numbers(metrics, goal), "return": None, "diverged": True}


def played_record(config: GAILConfig, method: str, returns: np.ndarray) -> dict[str, Any]:
    """Return what a policy earns that was not trained here.

    Args:
        config: names the environment and the seed.
        method: whose policy it is.
        returns: an episode each.
    """
    return {**_identity(config, method), **_fresh(returns), "diverged": False}


def curve_numbers(metrics: Path, goal: Goal | None, *, moved: bool = True) -> dict[str, Any]:
    """Return how a curve reached its goal and held it, and, if the discriminator was moved, how large it became."""
    rows = read_metrics(metrics)
    curve = [row.get("return", math.nan) for row in rows]
    steps = [row.get("environment_steps", math.nan) for row in rows]
    nothing = Stability(None, None, None, None, None, None, None)
    found = stability(curve, steps, goal) if goal else nothing
    norms = [row["discriminator_norm"] for row in rows if "discriminator_norm" in row] if moved else []
    return {**dataclasses.asdict(found), "discriminator_norm": max(norms, default=None)}


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Return the rows of a log; none if there is no such file. A number that is missing is not in its row."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def _identity(config: GAILConfig, method: str) -> dict[str, Any]:
    learned = config.method == "l2l" and method == method_of(config)
    return {
        "task": "gail",
        "data": environment_of(config),
        "method": method,
        "kind": "learned" if learned else "hand-written",
        "seed": config.seed,
    }


def _fresh(returns: np.ndarray) -> dict[str, Any]:
    deviation = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    return {
        "return": float(returns.mean()),
        "deviation": deviation,
        "least": float(returns.min()),
        "episodes": len(returns),
    }
