"""Lookahead: every few steps of another play, both players are pulled back towards where they were."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from bilevel.counts import check_count
from bilevel.errors import ConfigurationError
from bilevel.places import position, stand_at
from bilevel.play.base import Moves, Play
from bilevel.play.memory import recalled
from bilevel.play.requirements import require_number, require_one_follower

if TYPE_CHECKING:
    from bilevel.solver import Solver


@final
@dataclass(frozen=True)
class Lookahead(Play):
    r"""Play k steps of another play, then go only a part of the way that they led.

    $$\tilde w_{t+1} = \tilde w_t + \alpha\, (w_{t,k} - \tilde w_t), \qquad w_{t,0} = \tilde w_t, \quad
    w_{t,i+1} = P(w_{t,i})$$

    with P a step of the other play and w as in `Extragradient`: θ, the z of a follower that lives on, and φ if it is
    trained. Both players are pulled back at the same time. Where a step of P multiplies by λ, the k steps with the pull
    multiply by $1 - \alpha + \alpha\lambda^k$, which turns circles into spirals inwards.

    Optimizers, the rule and the other play keep their states where the players are pulled back. Any play can be
    wrapped, this one too; k counts single steps at every level. Each episode of the follower begins a new count.
    Feasible sets are taken to be convex, so that a point between two feasible ones is feasible.

    Cost: that of the other play; memory of one copy of the players.

    Args:
        play: the other play, P.
        every: k, at least 1.
        pull: α, above 0; 1 is the other play alone.

    Raises:
        ConfigurationError: if a setting is outside its range.

    Source: Zhang et al. 2019, "Lookahead optimizer: k steps forward, 1 step back"; Chavdarova et al. 2021, "Taming GANs
    with Lookahead-Minmax", Algorithm 1.
    """

    play: Play
    every: int = 5
    pull: float = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.play, Play):
            raise ConfigurationError(
                f"Lookahead wraps another play, an object such as bilevel.Simultaneous(); got {self.play!r}."
            )
        check_count("Lookahead's every", self.every)
        require_number(self, "pull", above=0.0)

    def check(self, solver: Solver[Any]) -> None:
        """Refuse what the other play refuses, and players that cannot be pulled back."""
        self.play.check(solver)
        require_one_follower(self, solver)
        update = solver.leader_update
        if update is not None and not update.uses_gradient:
            raise ConfigurationError(
                f"Lookahead pulls both players back, and does not know the parameters that {type(update).__name__} "
                "moves: use the other play alone, or a leader_optimizer."
            )
        episode = solver.task.episode
        if episode is not None and self.every > episode:
            raise ConfigurationError(
                f"Lookahead pulls back after {self.every} steps, and the follower begins anew after {episode}: pass "
                f"every={episode} or less."
            )

    def shows_moves(self, *, lives_on: bool) -> bool:
        """Whether the other play does."""
        return self.play.shows_moves(lives_on=lives_on)

    def step(self, solver: Solver[Any], batch: Any, state: Any) -> Moves:
        """Play a step of the other play; the state is the count, where the count began, and the other play's state."""
        state = recalled(solver, state) or {"count": 0, "slow": None, "play": None}
        solver.standing(batch)  # a follower that lives on takes its place before it leaves it
        slow = position(solver) if state["count"] == 0 else state["slow"]
        moves = self.play.step(solver, batch, state["play"])
        count = state["count"] + 1
        if count == self.every:
            reached = position(solver)
            stand_at(solver, {player: self._between(slow[player], reached[player]) for player in reached})
            slow, count = None, 0
        return dataclasses.replace(moves, state={"count": count, "slow": slow, "play": moves.state})

    def _between(self, slow: Sequence[Tensor], reached: Sequence[Tensor]) -> list[Tensor]:
        return [torch.lerp(old, new, self.pull) for old, new in zip(slow, reached, strict=True)]
