"""What an answer satisfies, linearised there: the linear system behind an implicit hypergradient."""

from __future__ import annotations

import abc
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from bilevel.errors import SolverWarning
from bilevel.leader import frozen
from bilevel.rollout import Rollout
from bilevel.rules.module import evaluating
from bilevel.rules.protocol import sees_gradient
from bilevel.task import Task
from bilevel.tree import Tree, as_leaves, filled, leaves, replace_leaves, tree_map
from bilevel.vector import join, split


class Linearised(abc.ABC):
    r"""$\frac{dz}{d\theta}^{\!\top} b = C^\top x$ with $H x = b$, for a graph from θ and z to some tensors.

    Args:
        outputs: what the graph leads to, of the shapes of z.
        places: the leaves of z, where the graph begins.
        moved: the parameters θ, where it begins too.
    """

    def __init__(self, outputs: Sequence[Tensor], places: Sequence[Tensor], moved: Sequence[Tensor]) -> None:
        self._outputs, self._places, self._moved = list(outputs), list(places), list(moved)

    @abc.abstractmethod
    def __call__(self, v: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return Hv."""

    @abc.abstractmethod
    def matmat(self, rows: Float[Tensor, "k n"]) -> Float[Tensor, "k n"]:
        """Return H times each row."""

    @abc.abstractmethod
    def pull_back(self, x: Float[Tensor, " n"]) -> tuple[Tensor | None, ...]:
        """Return Cᵀx, a tensor a parameter of θ. The graph is freed."""

    def _pull(self, v: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return v times the derivative of the outputs in z."""
        pulled = self._gradients(self._places, split(v, self._places))
        return join(filled(pulled, self._places))

    def _pull_rows(self, rows: Float[Tensor, "k n"]) -> Float[Tensor, "k n"]:
        """Return each row times the derivative of the outputs in z, in one batched pass."""
        pulled = self._gradients(self._places, split(rows, self._places), batched=True)
        like = [p.expand(len(rows), *p.shape) for p in self._places]
        return torch.cat([t.reshape(len(rows), -1) for t in filled(pulled, like)], dim=1)

    def _gradients(
        self, inputs: Sequence[Tensor], cotangents: Sequence[Tensor], *, batched: bool = False, last: bool = False
    ) -> Sequence[Tensor | None]:
        pairs = [(o, c) for o, c in zip(self._outputs, cotangents, strict=True) if o.requires_grad]
        if not pairs:
            return [None] * len(inputs)
        outputs, weights = zip(*pairs, strict=True)
        found: Sequence[Tensor | None] = torch.autograd.grad(
            outputs, inputs, weights, retain_graph=not last, allow_unused=True, is_grads_batched=batched
        )
        return found


@final
class _Gradient(Linearised):
    """H is the follower's Hessian and Cᵀ minus its mixed second derivative."""

    def __call__(self, v: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return ∂²q/∂z² v."""
        return self._pull(v)

    def matmat(self, rows: Float[Tensor, "k n"]) -> Float[Tensor, "k n"]:
        """Return ∂²q/∂z² times each row."""
        return self._pull_rows(rows)

    def pull_back(self, x: Float[Tensor, " n"]) -> tuple[Tensor | None, ...]:
        """Return -∂²q/∂θ∂z x."""
        return tuple(None if g is None else -g for g in self._gradients(self._moved, split(x, self._places), last=True))


@final
class _Map(Linearised):
    """H is the identity minus the transposed derivative of the follower's update in z; C its derivative in θ."""

    def __call__(self, v: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return v - (∂Φ/∂z)ᵀ v."""
        return v - self._pull(v)

    def matmat(self, rows: Float[Tensor, "k n"]) -> Float[Tensor, "k n"]:
        """Return the same of each row."""
        return rows - self._pull_rows(rows)

    def pull_back(self, x: Float[Tensor, " n"]) -> tuple[Tensor | None, ...]:
        """Return (∂Φ/∂θ)ᵀ x."""
        return tuple(self._gradients(self._moved, split(x, self._places), last=True))


class Condition(abc.ABC):
    """An equation in θ and z that holds at the follower's answer."""

    symmetric: bool
    """Whether its linear system is symmetric, as conjugate gradient needs."""

    @abc.abstractmethod
    def linearise(self, rollout: Rollout) -> Linearised:
        """Return the linear system at the follower's answer."""


@final
@dataclass(frozen=True)
class Stationary(Condition):
    r"""The follower's loss is stationary at its answer: $\nabla_z q(\theta, z) = 0$.

    By the implicit function theorem $\frac{dz}{d\theta} = -(\partial_z^2 q)^{-1} \partial_\theta \partial_z q$. It
    holds where no constraint of ``task.project`` is active; where one is, `SteadyRule` does.
    """

    symmetric = True

    def linearise(self, rollout: Rollout) -> Linearised:
        """Return the follower's Hessian and mixed derivative, on one graph."""
        problem, z = rollout.problem, as_leaves(rollout.answer)
        with torch.enable_grad(), frozen(problem.resting):
            _, gradient = problem.differentiable_gradient(z)
        _warn_of_active_constraints(rollout, z, gradient)
        return _Gradient(leaves(gradient), leaves(z), problem.moved)


@final
@dataclass(frozen=True)
class SteadyRule(Condition):
    r"""The follower's rule stands still at its answer: $z = \Phi(z, \theta) = \Pi(z + g(z, \nabla_z q(\theta, z), s))$.

    By the implicit function theorem $\frac{dz}{d\theta} = (I - \partial_z\Phi)^{-1} \partial_\theta\Phi$. It holds for
    constrained followers and for learned rules too. The rule's state s is a constant, which is right where the rule
    stands still for it (plain and momentum gradient steps do; Adam does not).
    """

    symmetric = False

    def linearise(self, rollout: Rollout) -> Linearised:
        """Return the derivatives of one more update, on one graph."""
        problem, z = rollout.problem, as_leaves(rollout.answer)
        with torch.enable_grad(), frozen([*problem.resting, *problem.phi]), evaluating(problem.rule):
            gradient = tree_map(torch.zeros_like, z)
            if sees_gradient(problem.rule):
                _, gradient = problem.differentiable_gradient(z)
            after, _ = problem.move(z, gradient, rollout.state)
        return _Map(leaves(after), leaves(z), problem.moved)


def _warn_of_active_constraints(rollout: Rollout, z: Tree, gradient: Tree) -> None:
    """Warn if a small step down the gradient leaves the feasible set, which a stationary answer cannot do."""
    task = rollout.problem.task
    if type(task).project is Task.project:
        return
    with torch.no_grad():
        places, slopes = leaves(z), leaves(gradient)
        size, slope = (max((float(t.abs().max()) for t in one if t.numel()), default=0.0) for one in (places, slopes))
        if slope == 0:
            return
        small = torch.finfo(places[0].dtype).eps ** 0.5 * max(size, 1.0) / slope
        ahead = [p - small * g for p, g in zip(places, slopes, strict=True)]
        back = leaves(task.project(rollout.problem.batch, replace_leaves(z, ahead)))
        # A constraint takes back a good part of the step somewhere; rounding in a projection takes back next to none.
        if all(bool(((a - b).abs() <= 0.1 * small * slope).all()) for a, b in zip(ahead, back, strict=True)):
            return
    warnings.warn(
        f"A constraint of {type(task).__name__}.project is active at the follower's answer, which is then not "
        "stationary, and the hypergradient is wrong: use bilevel.Implicit(bilevel.linear.FixedPoint(steps=...)), which "
        "sees the constraint.",
        SolverWarning,
        stacklevel=2,
    )
