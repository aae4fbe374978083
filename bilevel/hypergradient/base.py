"""How the leader sees the follower's answer: the interface."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from bilevel.errors import TaskError
from bilevel.inner import InnerProblem, follower_loss_name, loss_name
from bilevel.rollout import Rollout
from bilevel.rule_gradient import RuleGradient, rule_gradient
from bilevel.rule_loss import RuleLoss
from bilevel.rules.protocol import State
from bilevel.tree import Tree, filled, leaves, replace_leaves


@dataclass(frozen=True, slots=True)
class LeaderGradient:
    """A hypergradient.

    Attributes:
        loss: ℓ(θ, z) at the follower's answer, without a graph.
        gradient: one tensor a parameter of the leader, ``None`` where the loss does not depend on it.
        answer_gradient: ∂ℓ/∂z at the answer for a task that remembers, else ``None``.
        residual: relative residual of an inner solver, if there was one.
        iterations: how many iterations the inner solver took, if there was one.
        status: how the inner solver ended, in a word, if there was one.
        state: what the method is handed at the next step: tensors and plain Python values in dicts, lists, tuples.
    """

    loss: Tensor
    gradient: tuple[Tensor | None, ...]
    answer_gradient: Tree | None = None
    residual: Tensor | None = None
    iterations: int | None = None
    status: str | None = None
    state: Any = None


class Hypergradient(abc.ABC):
    r"""The derivative of the leader's loss in θ, with what it takes into account of the follower's answer.

    $$\frac{d}{d\theta} \ell(\theta, z(\theta)) = \frac{\partial \ell}{\partial \theta} +
    \Big(\frac{d z}{d \theta}\Big)^{\!\top} \frac{\partial \ell}{\partial z}$$

    The methods differ in what they take z(θ) to be. A subclass is an immutable object of settings.
    """

    needs_moves: ClassVar[bool] = False
    """Whether the moves that led to the answer are needed, rather than the answer alone."""

    needs_graph: ClassVar[bool] = False
    """Whether the answer carries a graph to θ, which is lost if the leader moves before it is used."""

    keeps_followers: ClassVar[bool] = False
    """Whether it lets followers of its own live on, one move a step, beside the solver's."""

    def check(self, problem: InnerProblem, steps: int) -> None:
        """Raise `ConfigurationError` if the method cannot be used on this task (there is no batch yet).

        Args:
            problem: the inner problem, without a batch.
            steps: how many updates the follower makes a step.
        """
        return

    def roll_out(self, problem: InnerProblem, start: Tree, state: State, **settings: Any) -> Rollout:
        """Let the follower move for a leader who will ask for the hypergradient, and note what that takes.

        Args:
            problem: the inner problem.
            start: z_0, with its graph to θ if the task gave it one.
            state: the rule's state at z_0.
            settings: those of `InnerProblem.roll_out`.
        """
        return problem.roll_out(start, state, **settings)

    @abc.abstractmethod
    def leader_gradient(self, rollout: Rollout, state: Any = None) -> LeaderGradient:
        """Return the derivative of the leader's loss in ``rollout.problem.moved``.

        Args:
            rollout: how the follower came to its answer; for a method that ``needs_moves``, one made by `roll_out`.
            state: what the last hypergradient of this solver left in `LeaderGradient.state`; ``None`` at first.

        Raises:
            TaskError: if the leader's loss is no scalar or depends on nothing that is moved.
        """

    def both_gradients(
        self, rollout: Rollout, phi: Sequence[Tensor], rule_loss: RuleLoss, state: Any = None
    ) -> tuple[LeaderGradient, RuleGradient]:
        """Return both players' gradients at the same answer; a method overrides this where they share passes.

        Args:
            rollout: how the follower came to its answer, with the graph to φ.
            phi: the rule's parameters.
            rule_loss: what φ is trained for.
            state: as in `leader_gradient`.
        """
        # The rule's first: what it keeps of the graph, the leader's backward pass frees.
        rule = rule_gradient(rollout, phi, rule_loss, retain_graph=True)
        return self.leader_gradient(rollout, state), rule

    def field(self, rollout: Rollout, state: Any = None) -> tuple[LeaderGradient, tuple[Tensor, Tree]]:
        """Return the hypergradient, and q and ∇_z q, at the same point, where the follower stands.

        A method overrides this where they share passes.
        """
        return self.leader_gradient(rollout, state), rollout.problem.gradient(rollout.answer)


def differentiate(
    loss: Tensor, rollout: Rollout, answer: Tree, *, retain_graph: bool = False, **settings: Any
) -> LeaderGradient:
    """Return the gradient of ``loss`` in what the leader moves, and in ``answer`` for a task that remembers.

    Args:
        loss: the leader's loss.
        rollout: whose problem says what is moved.
        answer: the point at which the loss was evaluated.
        retain_graph: whether the graph is still needed afterwards.
        settings: further entries of the `LeaderGradient`.

    Raises:
        TaskError: if the loss depends on no parameter of the leader.
    """
    problem = rollout.problem
    places = leaves(answer) if problem.task.remembers else []
    found: tuple[Tensor | None, ...] = ()
    if loss.requires_grad:
        found = torch.autograd.grad(loss, [*problem.moved, *places], allow_unused=True, retain_graph=retain_graph)
    return pack(loss, found, rollout, answer, **settings)


def pack(
    loss: Tensor, found: Sequence[Tensor | None], rollout: Rollout, answer: Tree, **settings: Any
) -> LeaderGradient:
    """Return the first gradients in ``found`` as the leader's, and those behind them, if any, as the answer's."""
    count = len(rollout.problem.moved)
    require_dependence(found[:count], rollout, through_answer=rollout.tracked > 0)
    behind = None
    if len(found) > count:
        behind = replace_leaves(answer, filled(found[count:], leaves(answer)))
    return LeaderGradient(loss.detach(), tuple(found[:count]), behind, **settings)


def total(*parts: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """Return the sum of gradients, parameter by parameter; ``None`` is nothing."""
    sums = []
    for terms in zip(*parts, strict=True):
        there = [t for t in terms if t is not None]
        sums.append(None if not there else sum(there[1:], there[0]))
    return tuple(sums)


def require_dependence(gradient: Sequence[Tensor | None], rollout: Rollout, *, through_answer: bool = False) -> None:
    """Raise `TaskError` if no entry of the leader's gradient is there.

    Args:
        gradient: the hypergradient.
        rollout: whose task is named.
        through_answer: whether the method sees θ's influence on the answer.
    """
    if any(g is not None for g in gradient):
        return
    task = rollout.problem.task
    name = f"{type(task).__name__}.{loss_name(task)}"
    if through_answer:
        raise TaskError(
            f"{name} depends on no parameter of the leader that its optimizer holds, neither itself nor through the "
            f"follower's answer z: use self.leader in it, or z in it and self.leader in "
            f"{type(task).__name__}.{follower_loss_name(task)}, without detaching them."
        )
    raise TaskError(
        f"{name} does not depend on any parameter of the leader that its optimizer holds. Use self.leader in it, and "
        "do not detach it; or, if the leader acts through the follower's answer alone, choose a hypergradient that "
        "sees that: hypergradient=bilevel.Unrolled()."
    )
