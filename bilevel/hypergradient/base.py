"""How the leader sees the follower's answer: the interface."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from bilevel.rollout import Rollout
from bilevel.task import Task
from bilevel.tree import Tree


@dataclass(frozen=True, slots=True)
class LeaderGradient:
    """A hypergradient.

    Attributes:
        loss: ℓ(θ, z) at the follower's answer, without a graph.
        gradient: one tensor a parameter of the leader, ``None`` where the loss does not depend on it.
        answer_gradient: ∂ℓ/∂z at the answer for a task that remembers, else ``None``.
        residual: relative residual of an inner solver, if there was one.
        status: how the inner solver ended, in a word, if there was one.
    """

    loss: Tensor
    gradient: tuple[Tensor | None, ...]
    answer_gradient: Tree | None = None
    residual: Tensor | None = None
    status: str | None = None


class Hypergradient(abc.ABC):
    """The derivative of the leader's loss in θ, with what it takes into account of the follower's answer."""

    shares_backward: ClassVar[bool] = False
    """Whether one backward pass from the answer gives both this hypergradient and the rule's gradient."""

    @abc.abstractmethod
    def leader_gradient(
        self, task: Task[Any, Any], batch: Any, rollout: Rollout, leader: Sequence[Tensor]
    ) -> LeaderGradient:
        """Return the derivative of the leader's loss in ``leader``.

        Args:
            task: whose losses are used.
            batch: the batch.
            rollout: how the follower came to its answer.
            leader: the parameters θ to differentiate in.

        Raises:
            TaskError: if the leader's loss is no scalar or depends on none of ``leader``.
        """
