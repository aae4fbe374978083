"""Simultaneous play."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from bilevel.play.base import Moves, Play

if TYPE_CHECKING:
    from bilevel.solver import Solver


@final
@dataclass(frozen=True)
class Simultaneous(Play):
    r"""Both players move on gradients taken at the same point.

    A follower that lives on:

    $$\theta_{t+1} = \theta_t - \alpha \nabla_\theta \ell(\theta_t, z_t), \qquad
    z_{t+1} = \Pi(z_t + g_\phi(z_t, \nabla_z q(\theta_t, z_t)))$$

    A follower that starts anew on each batch has no z_t before it moves. For it, θ and φ move on gradients of the same
    pass, at the answer of φ_t to θ_t; in a zero-sum task with the `Direct` hypergradient both come out of one backward
    pass, φ's with its sign turned.
    """

    def step(self, solver: Solver[Any], batch: Any) -> Moves:
        """Move both players once."""
        standing = solver.follower.standing(batch)
        rollout = solver.follow(batch)
        if standing is None:
            leader, rule = solver.gradients(batch, rollout)
        else:
            leader = solver.leader_gradient(batch, standing)
            rule = solver.rule_gradient(batch, rollout)
        solver.move_leader(batch, standing or rollout, leader)
        solver.move_rule(rule)
        solver.follower.keep(rollout)
        return Moves(leader, rule, rollout)
