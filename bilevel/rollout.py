"""What a follower did on one batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from bilevel.rules.protocol import State
from bilevel.tree import Tree

if TYPE_CHECKING:
    from bilevel.inner import InnerProblem


@dataclass(frozen=True, slots=True)
class Move:
    """One update of the follower.

    Attributes:
        z: the iterate before it.
        state: the rule's state before it; ``None`` in updates that `bilevel.Checkpointed` makes again.
        gradient: ∇_z q(θ, z) that the rule saw (zeros for a rule that sees no gradient).
    """

    z: Tree
    state: State
    gradient: Tree


@dataclass(frozen=True, slots=True)
class Rollout:
    """How the follower came to its answer: z_0, z_1, ..., z_K.

    Attributes:
        problem: the inner problem that was worked on.
        start: z_0.
        start_state: the rule's state at z_0.
        answer: z_K, the point that the leader is shown.
        state: the rule's state at z_K.
        loss: the follower's loss at z_{K-1}, without a graph; ``None`` if no gradient was taken.
        steps: K; 0 for a follower that has not moved since the leader looked last.
        moves: the last updates, as many as were asked for.
        tracked: how many of the last updates carry the graph to θ.
        fresh: whether z_0 is the task's start, rather than where the last step ended.
    """

    problem: InnerProblem
    start: Tree
    start_state: State
    answer: Tree
    state: State
    loss: Tensor | None = None
    steps: int = 0
    moves: tuple[Move, ...] = ()
    tracked: int = 0
    fresh: bool = True

    @property
    def iterates(self) -> tuple[Tree, ...]:
        """The iterates of the moves that were kept, and the answer: z_0 to z_K if all were."""
        return (*(move.z for move in self.moves), self.answer)

    @property
    def gradients(self) -> tuple[Tree, ...]:
        """The gradients of the moves that were kept."""
        return tuple(move.gradient for move in self.moves)
