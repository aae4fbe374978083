"""The learning rates of both players, for the log."""

from __future__ import annotations

from typing import Any

from torch import optim

from bilevel.leader import OptimizerUpdate
from bilevel.solver import Solver


def learning_rates(solver: Solver[Any]) -> dict[str, float]:
    """Return them by name: one a player, or one a group of parameters where an optimizer has several."""
    leader = solver.leader_update.optimizer if isinstance(solver.leader_update, OptimizerUpdate) else None
    rates: dict[str, float] = {}
    for player, optimizer in (("leader", leader), ("rule", solver.rule_optimizer)):
        groups = _rates(optimizer)
        if len(groups) == 1:
            rates[f"{player}_learning_rate"] = groups[0]
        else:
            rates |= {f"{player}_learning_rate_{number}": rate for number, rate in enumerate(groups, 1)}
    return rates


def _rates(optimizer: optim.Optimizer | None) -> list[float]:
    return [] if optimizer is None else [float(group["lr"]) for group in optimizer.param_groups if "lr" in group]
