"""A play for rules that learn on unrolls that may explode."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor

from bilevel.counts import check_count
from bilevel.errors import ConfigurationError, DivergenceError
from bilevel.play import Moves, Play
from bilevel.rollout import Rollout
from bilevel.solver import Solver
from bilevel.tree import detach


class ExplosionWarning(UserWarning):
    """An unroll exploded, and its episode was broken off."""


@dataclass(frozen=True)
class Standing:
    """How a training stands, as plain values for the checkpoint.

    Attributes:
        good: the last φ with which a window was finite; empty before the first.
        exploded: how many windows exploded so far.
        in_a_row: how many of the last ones.
    """

    good: Sequence[Tensor] = ()
    exploded: int = 0
    in_a_row: int = 0

    @classmethod
    def of(cls, state: Any) -> Standing:
        """Return what the last window left."""
        return cls() if state is None else cls(*state)

    @property
    def state(self) -> tuple[list[Tensor], int, int]:
        """What the next window is handed."""
        return list(self.good), self.exploded, self.in_a_row


@final
@dataclass(frozen=True)
class StopExplosions(Play):
    """The follower moves, then φ, unless the loss or φ's gradient exploded: then φ is again the last good one.

    The last good φ is that with which a window was finite last: the move that made the rule explode is taken back. The
    episode ends, and an `ExplosionWarning` says at which update. The look at the numbers waits for the device once a
    step, and a copy of φ is kept.

    Args:
        limit: the largest loss at a step's answer that φ learns from, above 0.
        most: how many windows in a row may explode, at least 1.

    Raises:
        ConfigurationError: if a number is out of range.
    """

    limit: float = 1e3
    most: int = 10

    def __post_init__(self) -> None:
        if not 0 < self.limit < math.inf:
            raise ConfigurationError(f"StopExplosions: limit must be a finite number above 0, got {self.limit}.")
        check_count("most", self.most)

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
        """Move the follower and φ, or break the episode off.

        Raises:
            DivergenceError: if too many windows in a row exploded; φ is the last good one.
        """
        standing = Standing.of(state)
        rollout = solver.follow(batch, seen=True)
        rule, leader = solver.rule_gradient(rollout), solver.leader_gradient(rollout)
        for found in (rule, leader):
            if found is not None and (reason := self._explosion(found.loss, found.gradient)):
                return Moves(None, None, None, self._taken_back(solver, rollout, standing, reason).state)
        standing = replace(standing, good=[p.detach().clone() for p in learned(solver)], in_a_row=0)
        solver.move_rule(rule)
        solver.move_leader(rollout, leader)
        solver.keep(rollout)
        return Moves(leader, rule, rollout, standing.state)

    def _explosion(self, loss: Tensor, gradient: Sequence[Tensor | None]) -> str:
        """Return what exploded; nothing if all is well."""
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradient if g is not None]))
        value, length = torch.stack([loss, norm]).tolist()
        if not value <= self.limit:  # which NaN is not either
            return f"its loss is {value:.4g} and at most {self.limit:g} is allowed"
        return "" if math.isfinite(length) else f"the norm of the rule's gradient is {length}"

    def _taken_back(self, solver: Solver[Any], rollout: Rollout, standing: Standing, reason: str) -> Standing:
        """End the episode with the last good φ, and say so."""
        window, row = solver.step_count + 1, standing.in_a_row + 1
        warnings.warn(
            f"Window {window}: the unroll exploded{self._place(solver, rollout)}, {reason}. Its episode ends here; the "
            f"rule {'is again the last good one' if standing.good else 'has not moved yet'}.",
            ExplosionWarning,
            stacklevel=4,
        )
        put_back(solver, standing)
        solver.follower.break_off()
        if row > self.most:
            raise DivergenceError(
                f"{row} windows in a row exploded, up to window {window} (the last: {reason}), with the last good rule "
                "too. Take a smaller rate or update_scale, or a larger limit."
            )
        return replace(standing, exploded=standing.exploded + 1, in_a_row=row)

    def _place(self, solver: Solver[Any], rollout: Rollout) -> str:
        """Return at which update the loss was beyond the limit first, as far as the window's iterates were kept."""
        before = solver.step_count * rollout.steps
        span = f"between updates {before + 1} and {before + rollout.steps}"
        if len(rollout.moves) < rollout.steps:
            return f" {span}"
        for number, z in enumerate(rollout.iterates[1:], start=1):
            if not float(rollout.problem.follower_loss(detach(z)).detach()) <= self.limit:
                return f" at update {before + number}, {number} of {rollout.steps} in its window"
        return f" {span}"


def learned(solver: Solver[Any]) -> list[Tensor]:
    """Return φ, whichever player it belongs to."""
    return [*solver.phi, *solver.moved]


def put_back(solver: Solver[Any], standing: Standing) -> None:
    """Let φ be the last good one, if there is any."""
    with torch.no_grad():
        for p, good in zip(learned(solver), standing.good, strict=bool(standing.good)):
            p.copy_(good)
