"""Both players moved by one rule that was trained beforehand, on other games."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from bilevel.learned import Multistep
from bilevel.play.base import Moves, Play
from bilevel.play.memory import recalled
from bilevel.play.requirements import require_one_update
from bilevel.rules.gradient import Gradient
from bilevel.solver import Solver
from bilevel.tree import detach, filled, leaves
from tasks.toy.method import GameFactory, Method
from tasks.toy.rule_file import SHIPPED, load_rule


@final
@dataclass(frozen=True)
class Joint(Play):
    r"""Both players are one point, which a rule moves along their two gradients.

    $$(\theta, z) \leftarrow (\theta, z) + g\big((\nabla_\theta \ell, \nabla_z q), s\big)$$

    The optimizer and the follower's rule are handed minus the move for a gradient: give them steps of size 1. Needs a
    follower that lives on and ``steps=1``. The state of the play is the rule's.

    Cost: 1 gradient evaluation a step.

    Args:
        rule: g, whose parameters stay as they are.
    """

    rule: Multistep

    def check(self, solver: Solver[Any]) -> None:
        """Refuse several updates of a follower that lives on."""
        require_one_update(self, solver)

    def step(self, solver: Solver[Any], batch: Any, state: Any) -> Moves:
        """Move both players once."""
        past = recalled(solver, state)
        field = solver.field(batch)
        assert field.leader is not None
        leading = [p.detach() for p in field.seen.problem.moved]
        following = [z.detach() for z in leaves(field.seen.answer)]
        place = [*leading, *following]
        gradient = filled([*field.vector["leader"], *field.vector["follower"]], place)
        with torch.no_grad():
            move, after = self.rule.update(gradient, past or self.rule.init(place), params=place)
        against: list[Tensor | None] = [-one for one in move]
        n = len(leading)
        moves = solver.move(batch, field.along({"leader": against[:n], "follower": against[n:], "rule": []}))
        return Moves(moves.leader, moves.rule, moves.rollout, detach(after))


@final
@dataclass(frozen=True)
class TrainedPlay(Method):
    """The players of a game are moved together by a rule from a file, see `Joint`.

    Args:
        name: its name.
        path: the rule's file; by default the one that comes with the package.
    """

    name: str = "trained"
    path: Path = SHIPPED

    def solver(self, game: GameFactory, step: float) -> Solver[None]:
        """Return the two players; ``step`` is the length of the first step alone, the rule's probe."""
        task = game(lives_on=True, bound=math.inf)
        rule = load_rule(self.path)
        rule.probe = step
        return Solver(
            task,
            Gradient(1.0),
            leader_optimizer=torch.optim.SGD([task.leader], lr=1.0),
            play=Joint(rule),
        )
