"""The hypergradient of adversarial training: the answer is a constant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from bilevel.errors import TaskError
from bilevel.hypergradient.base import Hypergradient, LeaderGradient
from bilevel.rollout import Rollout, scalar
from bilevel.task import Task
from bilevel.tree import detach


@final
@dataclass(frozen=True)
class Direct(Hypergradient):
    r"""The partial derivative in θ at the follower's answer.

    $$\frac{\partial}{\partial\theta}\, \ell(\theta, z)\Big|_{z = z_K}$$

    Exact where z_K is optimal and the game zero-sum (Danskin's theorem), an approximation elsewhere. One forward and
    one backward pass; in simultaneous play of a zero-sum task they also give the rule's gradient.
    Jiang et al. 2021, Algorithms 1 to 4.
    """

    shares_backward = True

    def leader_gradient(
        self, task: Task[Any, Any], batch: Any, rollout: Rollout, leader: Sequence[Tensor]
    ) -> LeaderGradient:
        """Return ∂ℓ/∂θ with the answer cut from its graph."""
        with torch.enable_grad():
            loss = scalar(task.leader_loss(batch, detach(rollout.answer)), task, loss_name(task))
        return LeaderGradient(loss.detach(), differentiate(loss, leader, task))


def differentiate(
    loss: Tensor, leader: Sequence[Tensor], task: Task[Any, Any], *, retain_graph: bool = False
) -> tuple[Tensor | None, ...]:
    """Return the gradient of the leader's loss in ``leader``; raise `TaskError` if it depends on none of them."""
    gradient: tuple[Tensor | None, ...] = ()
    if loss.requires_grad:
        gradient = torch.autograd.grad(loss, list(leader), allow_unused=True, retain_graph=retain_graph)
    require_dependence(gradient, task)
    return gradient


def require_dependence(gradient: Sequence[Tensor | None], task: Task[Any, Any]) -> None:
    """Raise `TaskError` if no entry of the leader's gradient is there."""
    if all(g is None for g in gradient):
        raise TaskError(
            f"{type(task).__name__}.{loss_name(task)} does not depend on any parameter of the leader that its "
            "optimizer holds. Use self.leader in it, and do not detach it."
        )


def loss_name(task: Task[Any, Any]) -> str:
    """Return the name of the method that holds the leader's loss."""
    return "loss" if task.zero_sum else "leader_loss"
