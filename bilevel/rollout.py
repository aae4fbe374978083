"""The follower's answer: an update rule applied a number of times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bilevel.errors import TaskError
from bilevel.leader import frozen
from bilevel.rules.protocol import Rule, State, sees_gradient
from bilevel.task import Task
from bilevel.tree import Tree, add, leaves, replace_leaves, same_structure, tree_map


@dataclass(frozen=True, slots=True)
class Rollout:
    """What the follower did on one batch: z_0, z_1, ..., z_K and the gradients that led it there.

    Attributes:
        iterates: z_0 to z_K; they carry the rule's graph (to φ) if it was asked for.
        gradients: ∇_z q(θ, z_t) for t < K, as constants (zeros for a rule that sees no gradient).
        state: the rule's state after the last update.
        loss: the follower's loss at z_{K-1}, without a graph; ``None`` if no gradient was taken.
    """

    iterates: tuple[Tree, ...]
    gradients: tuple[Tree, ...]
    state: State
    loss: Tensor | None

    @property
    def answer(self) -> Tree:
        """z_K, the point that the leader is shown."""
        return self.iterates[-1]


def roll_out(
    task: Task[Any, Any],
    rule: Rule,
    batch: Any,
    start: Tree,
    state: State,
    *,
    steps: int,
    leader: Sequence[Tensor],
    track_rule: bool,
) -> Rollout:
    r"""Apply the rule ``steps`` times.

    $$z_{t+1} = \Pi\big(z_t + g_\phi(z_t, \nabla_z q(\theta, z_t), s_t)\big), \qquad t < K$$

    The gradient is a constant for φ (a first-order rule), but z_t itself is not: with ``track_rule`` the answer
    depends on φ through every application, as in the two-step attacker of Jiang et al. 2021, section 3.

    Args:
        task: whose ``follower_loss`` and ``project`` are used.
        rule: the update rule g.
        batch: the batch.
        start: z_0.
        state: the rule's state at z_0.
        steps: K.
        leader: parameters that take part in the loss and need no gradient here.
        track_rule: whether the answer shall carry the graph to the rule's parameters.

    Returns:
        The iterates, gradients and the final state.

    Raises:
        TaskError: if the loss is no scalar or does not depend on z, or an update does not fit z.
    """
    z, gradients, loss = start, [], None
    iterates = [start]
    looks = sees_gradient(rule)
    with frozen(leader):
        for _ in range(steps):
            if looks:
                loss, gradient = follower_gradient(task, batch, z)
            else:
                gradient = tree_map(torch.zeros_like, z)
            with torch.set_grad_enabled(track_rule):
                updates, state = rule.update(gradient, state, params=z, inplace=False)
                check_fits(z, updates, f"The rule {type(rule).__name__}.update returned updates")
                before, z = z, task.project(batch, add(z, updates))
                check_fits(before, z, f"{type(task).__name__}.project returned a point")
            gradients.append(gradient)
            iterates.append(z)
    return Rollout(tuple(iterates), tuple(gradients), state, loss)


def follower_gradient(task: Task[Any, Any], batch: Any, z: Tree) -> tuple[Tensor, Tree]:
    """Return the follower's loss at ``z`` and its gradient there, both without a graph."""
    if torch.is_inference_mode_enabled():
        raise TaskError("A follower cannot move inside torch.inference_mode(), which forbids gradients: leave it.")
    point = tree_map(lambda leaf: leaf.detach().requires_grad_(), z)
    with torch.enable_grad(), task.inner_context():
        loss = scalar(task.follower_loss(batch, point), task, "follower_loss" if not task.zero_sum else "loss")
    if not loss.requires_grad:
        raise TaskError(_independent(task))
    gradients = torch.autograd.grad(loss, leaves(point), allow_unused=True)
    if all(g is None for g in gradients):
        raise TaskError(_independent(task))
    filled = [torch.zeros_like(leaf) if g is None else g for g, leaf in zip(gradients, leaves(point), strict=True)]
    return loss.detach(), replace_leaves(point, filled)


def scalar(loss: object, task: Task[Any, Any], method: str) -> Tensor:
    """Return ``loss`` if it is a scalar tensor; otherwise say which method of the task is at fault."""
    if not isinstance(loss, Tensor) or loss.ndim != 0:
        got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise TaskError(
            f"{type(task).__name__}.{method} must return a scalar tensor, got {got}: reduce it, for example by .mean()."
        )
    return loss


def check_fits(z: Tree, other: Tree, what: str) -> None:
    """Raise `TaskError` unless ``other`` has the structure, shapes and dtypes of ``z`` (adding would broadcast)."""
    if isinstance(z, Tensor) and isinstance(other, Tensor):
        if other.shape == z.shape and other.dtype == z.dtype:
            return
    elif same_structure(z, other) and all(
        isinstance(b, Tensor) and a.shape == b.shape and a.dtype == b.dtype
        for a, b in zip(leaves(z), leaves(other), strict=True)
    ):
        return
    raise TaskError(f"{what} of {kinds(other)} for an iterate of {kinds(z)}; the two must be the same.")


def kinds(tree: Tree) -> str:
    """Return the structure of ``tree`` with the dtype and shape of each tensor, as text."""
    return str(
        tree_map(
            lambda t: f"{str(t.dtype).removeprefix('torch.')}{list(t.shape)}" if isinstance(t, Tensor) else repr(t),
            tree,
        )
    )


def _independent(task: Task[Any, Any]) -> str:
    return (
        f"{type(task).__name__}.{'loss' if task.zero_sum else 'follower_loss'} does not depend on z, so the follower "
        "has nothing to follow. Use z in it, without detaching it."
    )
