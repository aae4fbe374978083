"""The inner problem: what the follower solves on one batch, and how it goes about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from bilevel.errors import TaskError
from bilevel.flat import Flat, flatten
from bilevel.leader import frozen
from bilevel.rollout import Move, Rollout
from bilevel.rules.module import parameters_of_rule
from bilevel.rules.protocol import Rule, State, sees_gradient, smooth_at_zero
from bilevel.rules.safe_roots import mend_roots
from bilevel.task import Task
from bilevel.tree import Tree, as_leaves, asking, detach, filled, leaves, tree_map


@final
@dataclass(frozen=True, slots=True)
class InnerProblem:
    r"""$\min_z q(\theta, z)$ on one batch, with the rule that moves z.

    Args:
        task: whose losses and projection are used.
        batch: the batch.
        rule: the update rule g.
        parameters: all parameters θ of the leader.
        moved: those of them that the leader moves, in which a hypergradient is taken.
    """

    task: Task[Any, Any]
    batch: Any
    rule: Rule
    parameters: Sequence[Tensor] = ()
    moved: Sequence[Tensor] = ()

    @property
    def resting(self) -> list[Tensor]:
        """The parameters of the leader that it does not move."""
        moved = {id(p) for p in self.moved}
        return [p for p in self.parameters if id(p) not in moved]

    @property
    def phi(self) -> list[Tensor]:
        """The parameters of the rule that the leader does not move."""
        moved = {id(p) for p in self.moved}
        return [p for p in parameters_of_rule(self.rule) if id(p) not in moved]

    @property
    def rule_leads(self) -> bool:
        """Whether the leader moves parameters of the rule."""
        return len(self.phi) < len(parameters_of_rule(self.rule))

    def leader_loss(self, z: Tree) -> Tensor:
        """Return ℓ(θ, z).

        Raises:
            TaskError: if it is no scalar.
        """
        return scalar(self.task.leader_loss(self.batch, z), self.task, loss_name(self.task))

    def follower_loss(self, z: Tree) -> Tensor:
        """Return q(θ, z).

        Raises:
            TaskError: if it is no scalar.
        """
        return scalar(self.task.follower_loss(self.batch, z), self.task, follower_loss_name(self.task))

    def gradient(self, z: Tree) -> tuple[Tensor, Tree]:
        """Return q(θ, z) and ∇_z q(θ, z) for the rule, both without a graph; nothing is computed for θ.

        Raises:
            TaskError: if the loss is no scalar or does not depend on z.
        """
        loss, gradient = self._gradient(flatten(z))
        return loss, gradient.tree

    def differentiable_gradient(self, z: Tree) -> tuple[Tensor, Tree]:
        """Return q(θ, z) and ∇_z q(θ, z) with their graphs to θ and z, which asks for a gradient.

        Raises:
            TaskError: if the loss is no scalar or does not depend on z.
        """
        with torch.enable_grad():
            loss, gradient = self._differentiate(flatten(z), create_graph=True)
        return loss, gradient.tree

    def move(self, z: Tree, gradient: Tree, state: State) -> tuple[Tree, State]:
        r"""Return $\Pi(z + g(z, \text{gradient}, s))$ and the rule's next state.

        Raises:
            TaskError: if the update or the projected point does not fit z.
        """
        slopes = flatten(gradient)
        through = torch.is_grad_enabled() and any(slope.requires_grad for slope in slopes.leaves)
        after, state = self._move(flatten(z), slopes, state, through=through)
        return after.tree, state

    def roll_out(
        self,
        start: Tree,
        state: State,
        *,
        steps: int,
        track_rule: bool = False,
        track_leader: int = 0,
        keep: int | None = None,
        first: tuple[Tensor, Tree] | None = None,
        fresh: bool = True,
    ) -> Rollout:
        r"""Apply the rule ``steps`` times.

        $$z_{t+1} = \Pi\big(z_t + g_\phi(z_t, \nabla_z q(\theta, z_t), s_t)\big), \qquad t < K$$

        With ``track_rule`` the answer depends on φ through every application. The gradient is a constant for φ (a
        first-order rule), but z_t itself is not, as in the two-step attacker of Jiang et al. 2021, section 3.

        In the last ``track_leader`` updates the gradient is no constant: the answer carries the graph to θ, and to φ
        through the gradient as well.

        Args:
            start: z_0.
            state: the rule's state at z_0.
            steps: K.
            track_rule: whether the answer shall carry the graph to the rule's parameters.
            track_leader: how many of the last updates shall carry the graph to θ.
            keep: how many of the last updates are noted in the rollout; ``None`` for all.
            first: the follower's loss and gradient at z_0, if they are known already.
            fresh: noted in the rollout.

        Returns:
            How the follower came to its answer.

        Raises:
            TaskError: if the loss is no scalar or does not depend on z, or an update does not fit z.
        """
        loss, s = None, state
        moves: list[Move] = []
        looks = sees_gradient(self.rule)
        window, kept_from = steps - min(track_leader, steps), 0 if keep is None else steps - keep
        z = flatten(detach(start) if window else start)
        for span, through in ((range(window), False), (range(window, steps), True)):
            if not span:
                continue
            if through:
                z = z.like([leaf.view_as(leaf) for leaf in z.leaves])  # not the task's own tensors
            with frozen(self.resting if through else self.parameters), torch.set_grad_enabled(track_rule or through):
                for t in span:
                    if through and not all(leaf.requires_grad for leaf in z.leaves):
                        z = z.like([asking(leaf) for leaf in z.leaves])
                    if not looks:
                        gradient = z.like([torch.zeros_like(leaf) for leaf in z.leaves])
                    elif through:
                        loss, gradient = self._differentiate(z, create_graph=True)
                    elif t == 0 and first is not None:
                        loss, gradient = first[0], flatten(first[1])
                    else:
                        loss, gradient = self._gradient(z)
                    if t >= kept_from:
                        moves.append(Move(z.tree, s, gradient.tree))
                    z, s = self._move(z, gradient, s, through=through)
        loss = None if loss is None else loss.detach()
        return Rollout(self, start, state, z.tree, s, loss, steps, tuple(moves), steps - window, fresh)

    def _gradient(self, z: Flat) -> tuple[Tensor, Flat]:
        point = z.like([as_leaves(leaf) for leaf in z.leaves])
        with frozen(self.parameters), torch.enable_grad():
            loss, gradient = self._differentiate(point, create_graph=False)
        return loss.detach(), gradient

    def _differentiate(self, z: Flat, *, create_graph: bool) -> tuple[Tensor, Flat]:
        if torch.is_inference_mode_enabled():
            raise TaskError("A follower cannot move inside torch.inference_mode(), which forbids gradients: leave it.")
        with self.task.inner_context():
            loss = self.follower_loss(z.tree)
        gradients: tuple[Tensor | None, ...] = ()
        if loss.requires_grad:
            gradients = torch.autograd.grad(loss, z.leaves, allow_unused=True, create_graph=create_graph)
        if all(g is None for g in gradients):
            raise TaskError(
                f"{type(self.task).__name__}.{follower_loss_name(self.task)} does not depend on z, so the follower has "
                "nothing to follow. Use z in it, without detaching it."
            )
        return loss, z.like(filled(gradients, z.leaves))

    def _move(self, z: Flat, gradient: Flat, state: State, *, through: bool) -> tuple[Flat, State]:
        updates, after_state = self.rule.update(gradient.tree, state, params=z.tree, inplace=False)
        changes = fitting(z, updates, self.rule, "update returned updates").leaves
        if through and not smooth_at_zero(self.rule):
            # The roots of adaptive rules, TorchOpt's among them, have the derivative 0 · ∞ at an exactly zero gradient.
            mend_roots([*changes, *leaves(after_state)], [*gradient.leaves, *z.leaves, *leaves(state)])
        after = z.like([place + change for place, change in zip(z.leaves, changes, strict=True)])
        projected = self.task.project(self.batch, after.tree)
        if projected is not after.tree:
            after = fitting(z, projected, self.task, "project returned a point")
        return after, after_state


def scalar(loss: object, task: Task[Any, Any], method: str) -> Tensor:
    """Return ``loss`` if it is a scalar tensor; otherwise say which method of the task is at fault."""
    if not isinstance(loss, Tensor) or loss.ndim != 0:
        got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise TaskError(
            f"{type(task).__name__}.{method} must return a scalar tensor, got {got}: reduce it, for example by .mean()."
        )
    return loss


def loss_name(task: Task[Any, Any]) -> str:
    """Return the name of the method that holds the leader's loss."""
    return "loss" if task.zero_sum else "leader_loss"


def follower_loss_name(task: Task[Any, Any]) -> str:
    """Return the name of the method that holds the follower's loss."""
    return "loss" if task.zero_sum else "follower_loss"


def fitting(z: Flat, other: Tree, owner: object, what: str) -> Flat:
    """Return ``other`` flattened if it has the structure, shapes and dtypes of ``z`` (adding would broadcast).

    Raises:
        TaskError: if it has not, saying what of its owner, a task or a rule, is at fault.
    """
    found = flatten(other)
    if found.structure == z.structure:
        for a, b in zip(z.leaves, found.leaves, strict=True):
            if not (isinstance(b, Tensor) and a.shape == b.shape and a.dtype == b.dtype):
                break
        else:
            return found
    who = type(owner).__name__ if isinstance(owner, Task) else f"The rule {type(owner).__name__}"
    raise TaskError(f"{who}.{what} of {kinds(other)} for an iterate of {kinds(z.tree)}; the two must be the same.")


def kinds(tree: Tree) -> str:
    """Return the structure of ``tree`` with the dtype and shape of each tensor, as text."""
    return str(
        tree_map(
            lambda t: f"{str(t.dtype).removeprefix('torch.')}{list(t.shape)}" if isinstance(t, Tensor) else repr(t),
            tree,
        )
    )
