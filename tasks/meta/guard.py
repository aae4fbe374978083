"""A play for rules that learn on unrolls that may explode."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from bilevel.errors import ConfigurationError
from bilevel.play import Moves, Play
from bilevel.solver import Solver


class ExplosionWarning(UserWarning):
    """An unroll exploded, and its episode was broken off."""


@final
@dataclass(frozen=True)
class StopExplosions(Play):
    """The follower moves, then φ, unless the loss or φ's gradient exploded: then the episode ends and φ stays.

    An `ExplosionWarning` says at which step. The look at the numbers waits for the device once a step.

    Args:
        limit: the largest loss at a step's answer that φ learns from, above 0.

    Raises:
        ConfigurationError: if the limit is out of range.
    """

    limit: float = 1e3

    def __post_init__(self) -> None:
        if not 0 < self.limit < math.inf:
            raise ConfigurationError(f"StopExplosions: limit must be a finite number above 0, got {self.limit}.")

    def shows_moves(self, *, lives_on: bool) -> bool:
        """``True``: a rule that leads sees the moves that were just made."""
        return True

    def check(self, solver: Solver[Any]) -> None:
        """Refuse a follower that does not live on."""
        if not solver.task.lives_on:
            raise ConfigurationError(
                f"StopExplosions ends the episodes of a follower that lives on, and that of "
                f"{type(solver.task).__name__} starts anew on each batch: pass lives_on=True to its super().__init__."
            )

    def step(self, solver: Solver[Any], batch: Any, state: Any) -> Moves:
        """Move the follower and φ, or break the episode off."""
        rollout = solver.follow(batch, seen=True)
        rule, leader = solver.rule_gradient(rollout), solver.leader_gradient(rollout)
        for found in (rule, leader):
            if found is not None and (reason := self._explosion(found.loss, found.gradient)):
                warnings.warn(
                    f"Step {solver.step_count + 1}: the unroll exploded, {reason}, after {rollout.steps} updates from "
                    "where the step began. Its episode ends here; the rule stays as it was.",
                    ExplosionWarning,
                    stacklevel=2,
                )
                solver.follower.break_off()
                return Moves(None, None, None)
        solver.move_rule(rule)
        solver.move_leader(rollout, leader)
        solver.keep(rollout)
        return Moves(leader, rule, rollout)

    def _explosion(self, loss: Tensor, gradient: Sequence[Tensor | None]) -> str:
        """Return what exploded; nothing if all is well."""
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradient if g is not None]))
        value, length = torch.stack([loss, norm]).tolist()
        if not value <= self.limit:  # which NaN is not either
            return f"its loss is {value:.4g} and at most {self.limit:g} is allowed"
        return "" if math.isfinite(length) else f"the norm of the rule's gradient is {length}"
