"""Who moves when: the interface."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bilevel.hypergradient import LeaderGradient
from bilevel.rollout import Rollout

if TYPE_CHECKING:
    from bilevel.solver import RuleGradient, Solver


@dataclass(frozen=True, slots=True)
class Moves:
    """What the players did in one step, for the record.

    Attributes:
        leader: the hypergradient that the leader moved along, if it moved along one.
        rule: the gradient that φ moved along, if it moved.
        rollout: the follower's last moves.
    """

    leader: LeaderGradient | None
    rule: RuleGradient | None
    rollout: Rollout | None


class Play(abc.ABC):
    """The order of moves. It is built from what `Solver` can do and holds no state of its own."""

    @abc.abstractmethod
    def step(self, solver: Solver[Any], batch: Any) -> Moves:
        """Let the players move once on ``batch``."""
