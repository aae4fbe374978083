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
from bilevel.tree import Tree, detach, leaves, replace_leaves, tree_map


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
        answer = detach(rollout.answer)
        if task.remembers:
            answer = tree_map(torch.Tensor.requires_grad_, answer)
        with torch.enable_grad():
            loss = scalar(task.leader_loss(batch, answer), task, loss_name(task))
        return differentiate(loss, leader, answer, task)


def differentiate(
    loss: Tensor, leader: Sequence[Tensor], answer: Tree, task: Task[Any, Any], *, retain_graph: bool = False
) -> LeaderGradient:
    """Return the gradient of the leader's loss in ``leader``, and in ``answer`` for a task that remembers.

    Raises:
        TaskError: if the loss depends on no parameter of the leader.
    """
    places = leaves(answer) if task.remembers else []
    found: tuple[Tensor | None, ...] = ()
    if loss.requires_grad:
        found = torch.autograd.grad(loss, [*leader, *places], allow_unused=True, retain_graph=retain_graph)
    return pack(loss, found, len(leader), answer, task)


def pack(
    loss: Tensor, found: Sequence[Tensor | None], count: int, answer: Tree, task: Task[Any, Any]
) -> LeaderGradient:
    """Return the first ``count`` gradients as the leader's, and those behind them, if any, as the answer's."""
    require_dependence(found[:count], task)
    behind = None
    if len(found) > count:
        pairs = zip(found[count:], leaves(answer), strict=True)
        behind = replace_leaves(answer, [torch.zeros_like(leaf) if g is None else g for g, leaf in pairs])
    return LeaderGradient(loss.detach(), tuple(found[:count]), behind)


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
