"""The leader differentiates the condition that the follower's answer satisfies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

import torch

from bilevel.errors import ConfigurationError
from bilevel.hypergradient.base import Hypergradient, LeaderGradient, require_dependence, total
from bilevel.hypergradient.condition import Condition, Stationary, SteadyRule
from bilevel.hypergradient.passes import kept_buffers
from bilevel.linear import ConjugateGradient, FixedPoint, LinearSolver, advice
from bilevel.linear.verdict import judge
from bilevel.rollout import Rollout
from bilevel.tree import as_leaves, filled, leaves, replace_leaves
from bilevel.vector import join


@final
@dataclass(frozen=True)
class Implicit(Hypergradient):
    r"""The total derivative at an optimal answer, by the implicit function theorem.

    $$\frac{\partial \ell}{\partial \theta} - \partial_\theta \partial_z q \; x, \qquad
    \partial_z^2 q \; x = \frac{\partial \ell}{\partial z}$$

    It looks at the answer alone: memory does not grow with the follower's steps, and it does not matter how the answer
    was found. It is exact where the follower's loss is stationary at the answer and the system is solved; the error of
    an answer that is off by e is of the order of e. A product with the Hessian is one backward pass over a graph that
    is made once.

    Where the Hessian is singular, indefinite, or the solver diverges, a `SolverWarning` says so, and what to do. How
    the solver ended is in the record: ``residual``, ``iterations`` and ``status``.

    Args:
        solver: of the linear system: `bilevel.linear.ConjugateGradient`, ``Neumann``, ``FixedPoint`` or ``Dense``.
        condition: what the answer satisfies: `Stationary`, or `SteadyRule`, which holds for constrained followers and
            learned rules; ``None`` is ``SteadyRule()`` for the solver ``FixedPoint`` and ``Stationary()`` for others.
        throw: whether a solver that does not converge raises `ConvergenceError`.

    Raises:
        ConfigurationError: for a solver that cannot solve the condition's system.

    Source: Pedregosa 2016, Eq. 2 to 4; Rajeswaran et al. 2019 (conjugate gradient), Lorraine et al. 2020 (Neumann),
    Grazzi et al. 2020 (fixed point).
    """

    solver: LinearSolver = field(default_factory=ConjugateGradient)
    condition: Condition | None = None
    throw: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.solver, LinearSolver):
            raise ConfigurationError(
                "Implicit's solver must be an object of bilevel.linear, such as bilevel.linear.ConjugateGradient(); "
                f"got {self.solver!r}."
            )
        if isinstance(self.solver, ConjugateGradient) and self.condition is not None and not self.condition.symmetric:
            raise ConfigurationError(
                f"ConjugateGradient needs a symmetric system, which that of {type(self.condition).__name__} is not: "
                "use bilevel.linear.FixedPoint(steps=...) or bilevel.linear.Dense()."
            )

    def leader_gradient(self, rollout: Rollout, state: Any = None) -> LeaderGradient:
        """Return dℓ/dθ.

        Raises:
            TaskError: if the leader's loss depends on neither θ nor z.
            ConvergenceError: if the solver does not converge and ``throw`` is set.
        """
        problem = rollout.problem
        answer = as_leaves(rollout.answer)
        places, count = leaves(answer), len(problem.moved)
        with torch.enable_grad():
            loss = problem.leader_loss(answer)
        found: tuple[torch.Tensor | None, ...] = (None,) * (count + len(places))
        if loss.requires_grad:
            found = torch.autograd.grad(loss, [*problem.moved, *places], allow_unused=True)
        require_dependence(found, rollout, through_answer=True)
        direct, slopes = found[:count], filled(found[count:], places)
        with kept_buffers(problem):
            system = (self.condition or self._usual_condition()).linearise(rollout)
        solution = self.solver.solve(system, join(slopes))
        of = f"The implicit hypergradient of {type(problem.task).__name__}"
        judge(solution, self.solver, of=of, remedy=advice(solution.status), throw=self.throw)
        gradient = total(direct, system.pull_back(solution.x))
        require_dependence(gradient, rollout, through_answer=True)
        return LeaderGradient(
            loss.detach(),
            gradient,
            replace_leaves(answer, slopes) if problem.task.remembers else None,
            residual=solution.residual,
            iterations=solution.iterations,
            status=solution.status.value,
        )

    def _usual_condition(self) -> Condition:
        return SteadyRule() if isinstance(self.solver, FixedPoint) else Stationary()
