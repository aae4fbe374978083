"""The leader compares the follower's answer with one that is also good for itself."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from bilevel.counts import check_count
from bilevel.errors import ConfigurationError, TaskError
from bilevel.hypergradient.base import Hypergradient, LeaderGradient, require_dependence, total
from bilevel.hypergradient.passes import as_it_moved, at_answer, follower_slope, kept_buffers
from bilevel.inner import InnerProblem, follower_loss_name, loss_name, scalar
from bilevel.leader import frozen
from bilevel.linear.system import check_positive
from bilevel.rng import RandomSources
from bilevel.rollout import Rollout
from bilevel.rules.protocol import Rule, sees_gradient
from bilevel.tree import Tree, as_leaves, detach, filled, leaves, replace_leaves


@final
@dataclass(frozen=True)
class ValueFunction(Hypergradient):
    r"""The slope of a penalty on the follower's loss above its least value, by first-order passes alone.

    $$\partial_\theta \ell(\theta, y) + \lambda \big[\partial_\theta q(\theta, y) - \partial_\theta q(\theta, z)\big],
    \qquad y \approx \arg\min_y\ \tfrac{1}{\lambda} \ell(\theta, y) + q(\theta, y)$$

    The gradient of $\min_y \ell + \lambda (q - \min q)$, with z for the follower's minimum. Where both minima are
    found and q is strongly convex in z, its error against the hypergradient falls as 1/λ; on
    $q = \frac a2 (z - \theta)^2$, $\ell = \frac12 z^2$ it is exactly $\lambda a / (1 + \lambda a)$ of it. What z or y
    miss of their minima enters multiplied by λ, and so does rounding: a larger λ wants a better follower.

    y begins at the answer z, with a fresh state of the rule, and makes ``steps`` updates of it, projected as the
    follower's are. Its objective is divided by λ so that its curvature is about that of q: a step size that suits the
    follower suits y, unless λ is small against the ratio of the curvatures of ℓ and q. From a stationary z, T gradient
    steps give the T-term Neumann series, up to an error that falls as 1/λ. The way to y is itself of the order of
    1/λ: a rule whose steps do not shrink with the gradient (signs, Adam's first steps) overshoots it, so give such a
    follower ``rule=torchopt.sgd(...)``.

    The cost is that of ``steps`` gradients of ℓ and q in y, two of q and one of ℓ in θ, and one value of ℓ; memory is
    that of one pass. A constraint of ``task.project`` may be active, but it must not depend on θ. A follower that is
    not convex has many minima; this compares two near z.

    Args:
        penalty: λ > 0, in the units of ℓ over those of q.
        steps: how many updates lead to y; ``None`` for as many as the solver's follower makes a step.
        rule: what moves y; ``None`` for the follower's own rule.

    Raises:
        ConfigurationError: for a setting outside its range.

    Source: Kwon et al. 2023 (F2SA), Eq. 4 and Algorithm 1; Liu et al. 2022 (BOME) for the value function as a
    penalty.
    """

    penalty: float
    steps: int | None = None
    rule: Rule | None = None

    def __post_init__(self) -> None:
        check_positive("ValueFunction's penalty", self.penalty)
        if self.steps is not None:
            check_count("ValueFunction's steps", self.steps)
        if self.rule is not None and (isinstance(self.rule, type) or not isinstance(self.rule, Rule)):
            raise ConfigurationError(
                "ValueFunction's rule must be an object with init and update, such as torchopt.sgd(0.1); got "
                f"{self.rule!r}."
            )

    def check(self, problem: InnerProblem, steps: int) -> None:
        """Refuse a rule that cannot descend, and a number of steps that nobody says."""
        rule = self.rule or problem.rule
        if not sees_gradient(rule):
            raise ConfigurationError(
                f"ValueFunction minimises with {type(rule).__name__}, which sees no gradient: pass "
                "ValueFunction(..., rule=torchopt.sgd(0.1)) or another rule that descends."
            )
        if self.steps is None and problem.task.lives_on:
            raise ConfigurationError(
                f"The follower of {type(problem.task).__name__} lives on, and may be looked at where it did not move: "
                f"say how many updates ValueFunction makes, as in ValueFunction({self.penalty}, steps={steps})."
            )

    def leader_gradient(self, rollout: Rollout, state: Any = None) -> LeaderGradient:
        """Return the slope of the penalty; ``iterations`` is how many updates led to y.

        Raises:
            TaskError: if neither loss depends on z, or on what the leader moves.
        """
        problem, z = rollout.problem, detach(rollout.answer)
        steps = self.steps or rollout.steps
        loss, answer_gradient = at_answer(rollout)
        sources = RandomSources()
        with kept_buffers(problem):
            with as_it_moved(rollout):
                y = self._minimise(problem, z, steps)
            with torch.enable_grad(), frozen(problem.resting):
                there = problem.leader_loss(y)
            direct: tuple[Tensor | None, ...] = (None,) * len(problem.moved)
            if there.requires_grad:
                direct = torch.autograd.grad(there, list(problem.moved), allow_unused=True)
            random = sources.capture()
            at_y = follower_slope(problem, y)
            sources.restore(random)  # a loss with random parts is the same one at both points
            at_z = follower_slope(problem, z)
        # Subtracted before they are multiplied: the two are large against what remains.
        excess = total(at_y, [None if g is None else -g for g in at_z])
        gradient = total(direct, [None if g is None else self.penalty * g for g in excess])
        require_dependence(gradient, rollout, through_answer=True)
        return LeaderGradient(loss, gradient, answer_gradient, iterations=steps)

    def _minimise(self, problem: InnerProblem, z: Tree, steps: int) -> Tree:
        """Return y, without a graph."""
        if self.rule is not None:
            problem = dataclasses.replace(problem, rule=self.rule)
        y, state = z, problem.rule.init(z)
        with torch.no_grad():
            for _ in range(steps):
                y, state = problem.move(y, self._gradient(problem, y), state)
        return detach(y)

    def _gradient(self, problem: InnerProblem, y: Tree) -> Tree:
        """Return the gradient of ℓ/λ + q in y."""
        task = problem.task
        point = as_leaves(y)
        places = leaves(point)
        with torch.enable_grad(), frozen(problem.parameters), task.inner_context():
            leader_loss, follower_loss = task.losses(problem.batch, point)
            leader_loss = scalar(leader_loss, task, loss_name(task))
            objective = leader_loss / self.penalty + scalar(follower_loss, task, follower_loss_name(task))
        found: tuple[Tensor | None, ...] = ()
        if objective.requires_grad:
            found = torch.autograd.grad(objective, places, allow_unused=True)
        if all(g is None for g in found):
            raise TaskError(f"Neither loss of {type(task).__name__} depends on z: use z in them, without detaching it.")
        return replace_leaves(point, filled(found, places))
