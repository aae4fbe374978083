"""What plays keep from step to step: vectors of their own, which nobody else writes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bilevel.field import Field, Vector
from bilevel.hypergradient import LeaderGradient
from bilevel.rollout import Rollout
from bilevel.rule_gradient import RuleGradient
from bilevel.tree import filled, leaves, replace_leaves

if TYPE_CHECKING:
    from bilevel.solver import Solver


def recalled(solver: Solver[Any], state: Any) -> Any:
    """Return a play's state; ``None`` where a follower that lives on begins anew, so that the play does too."""
    return None if solver.task.lives_on and solver.follower.fresh else state


def copied(vector: Vector) -> dict[str, list[Tensor | None]]:
    """Return copies.

    The gradients themselves are handed to optimizers, whose hooks may clip or zero them in place.
    """
    return {player: [None if g is None else g.clone() for g in part] for player, part in vector.items()}


def field_from(solver: Solver[Any], batch: Any, vector: Vector) -> Field:
    """Return a field that has gradients from an earlier step where the players stand now; nothing is evaluated."""
    seen = solver.standing(batch)
    if seen is None:  # nobody asks for the answer of a follower that would have to start first
        seen = Rollout(solver.problem(batch), (), (), (), ())
    unknown = torch.tensor(torch.nan)
    leader, follower, rule = vector["leader"], vector["follower"], vector["rule"]
    z = seen.answer
    return Field(
        seen,
        LeaderGradient(unknown, tuple(leader)) if leader else None,
        (unknown, replace_leaves(z, filled(follower, leaves(z)))) if follower else None,
        RuleGradient(unknown, tuple(rule)) if rule else None,
    )
