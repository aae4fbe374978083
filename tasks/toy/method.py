"""Ways to play a game: the interface, and gradient play."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import torch
import torchopt

from bilevel.play import Play
from bilevel.rules.protocol import Rule
from bilevel.solver import Solver
from tasks.toy.game import Game


@runtime_checkable
class GameFactory(Protocol):
    """Makes a new game, its players at their start."""

    def __call__(self, *, lives_on: bool, bound: float) -> Game:
        """Return the game with a follower that lives on or starts anew, y kept within the bound."""
        ...


class Method(abc.ABC):
    """A way to play a game.

    Attributes:
        name: what it is called in tables and legends.
    """

    name: str

    @abc.abstractmethod
    def solver(self, game: GameFactory, step: float) -> Solver[None]:
        """Return the players at the start of a new game, ready to move.

        Args:
            game: makes the game.
            step: the step size h of the leader, and of a follower that takes gradient steps.
        """


@final
@dataclass(frozen=True)
class GradientPlay(Method):
    """Both players take gradient steps of size h.

    Args:
        name: its name.
        order: who moves when.
    """

    name: str
    order: Play

    def solver(self, game: GameFactory, step: float) -> Solver[None]:
        """Return the two players; the follower's rule is TorchOpt's SGD as it stands."""
        task = game(lives_on=True, bound=math.inf)
        rule: Rule = torchopt.sgd(lr=step)
        return Solver(task, rule, leader_optimizer=torch.optim.SGD([task.leader], lr=step), play=self.order)
