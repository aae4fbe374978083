"""Competitive gradient descent: the equilibrium of the game as it looks close by."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from bilevel.errors import ConfigurationError
from bilevel.field import Field, Vector
from bilevel.linear import ConjugateGradient, LinearSolver, Solution, Status
from bilevel.linear.system import norm
from bilevel.linear.verdict import judge
from bilevel.play.base import Moves, Play
from bilevel.play.requirements import require_number, require_second_derivatives
from bilevel.play.second_order import OTHER, SecondOrder
from bilevel.tree import filled
from bilevel.vector import join, split

if TYPE_CHECKING:
    from bilevel.solver import Solver


_REMEDY = (
    "allow the linear solver more steps or a larger tolerance, or take a smaller step_size (where I - step_size² BC is "
    "singular there is no equilibrium, or there are many)"
)


@final
@dataclass(frozen=True)
class CompetitiveGradient(Play):
    r"""Both players move to the equilibrium of the game's bilinear approximation.

    $$\Delta\theta = -\eta\, (\nabla_\theta \ell + B\, \Delta z), \qquad
    \Delta z = -\eta\, (\nabla_z q + C\, \Delta\theta)$$

    with $B = \partial_z \nabla_\theta \ell$ and $C = \partial_\theta \nabla_z q$: each move is the best answer to the
    other where a move Δ costs $|\Delta|^2 / 2\eta$. Solved, it is $\Delta\theta = -\eta\, (I - \eta^2 B C)^{-1}
    (\nabla_\theta \ell - \eta B\, \nabla_z q)$, and the same with the players exchanged. On a bilinear game a step
    multiplies the component of singular value σ by $1 / \sqrt{1 + s^2}$, $s = \eta\sigma$: it contracts for every
    step size.

    One system is solved, for the player with fewer coordinates; the other's move follows from the equation above. In a
    zero-sum game $C = -B^\top$, and the matrix $I + \eta^2 B B^\top$ is symmetric positive definite. In a general-sum
    game $M = I - \eta^2 B C$ need not be symmetric, and its normal equations $M^\top M x = M^\top b$ are solved.

    The optimizers and the rule are handed $-\Delta/\eta$ for the gradient, so that steps of size η, as those of
    ``SGD(lr=η)`` and ``torchopt.sgd(η)``, give exactly the formula. It needs a follower that lives on, a rule that sees
    the gradient, ``steps=1`` and the `Direct` hypergradient.

    How the linear solver ended is in the record: the relative ``residual`` of $M x = b$, ``iterations`` and ``status``.
    The normal equations have a solution even where M is singular and there is no equilibrium: the status is
    ``singular`` then all the same. A `SolverWarning` says so where it neither converged nor was cut short.

    Cost: 1 gradient evaluation with its graph, each loss differentiated in both places; 2 backward passes over it for
    each product of the linear solver, and 2 more (in a general-sum game 4, and 6 more).

    Args:
        step_size: η > 0.
        solver: of the linear system, an object of `bilevel.linear`.
        throw: whether a solver that does not converge raises `ConvergenceError`.

    Raises:
        ConfigurationError: if ``step_size`` is not a finite number above 0, or ``solver`` no linear solver.

    Source: Schäfer and Anandkumar 2019, "Competitive gradient descent".
    """

    step_size: float
    solver: LinearSolver = field(default_factory=ConjugateGradient)
    throw: bool = False

    def __post_init__(self) -> None:
        require_number(self, "step_size", above=0.0)
        if not isinstance(self.solver, LinearSolver):
            raise ConfigurationError(
                "CompetitiveGradient's solver must be an object of bilevel.linear, such as "
                f"bilevel.linear.ConjugateGradient(); got {self.solver!r}."
            )

    def check(self, solver: Solver[Any]) -> None:
        """Refuse players without second derivatives."""
        require_second_derivatives(self, solver)

    def step(self, solver: Solver[Any], batch: Any, state: Any) -> Moves:
        """Move both players once.

        Raises:
            ConvergenceError: if the linear solver does not converge and ``throw`` is set.
        """
        return solver.move(batch, self._field(solver, batch))

    def _field(self, solver: Solver[Any], batch: Any) -> Field:
        """Return the field that is moved along; its graph ends here."""
        game = SecondOrder(solver, batch, crossed=True)
        size = {player: sum(p.numel() for p in places) for player, places in game.places.items()}
        first = "leader" if size["leader"] <= size["follower"] else "follower"
        equilibrium = _Equilibrium(game, first, self.step_size)
        solution = equilibrium.solve(self.solver)
        of = f"The equilibrium that CompetitiveGradient looks for in {type(solver.task).__name__}"
        judge(solution, self.solver, of=of, remedy=_REMEDY, throw=self.throw)
        moved = game.field.along(equilibrium.vector(solution.x))
        assert moved.leader is not None
        leader = dataclasses.replace(
            moved.leader, residual=solution.residual, iterations=solution.iterations, status=solution.status.value
        )
        return dataclasses.replace(moved, leader=leader)


@final
class _Equilibrium:
    """The two equations for -Δ/η, one player's put into the other's.

    Args:
        game: both players' gradients, with their graphs.
        player: whose equation is left to be solved.
        step_size: η.
    """

    def __init__(self, game: SecondOrder, player: str, step_size: float) -> None:
        self.game, self.player, self.other, self.step_size = game, player, OTHER[player], step_size
        vector = game.field.vector
        self.own, self.others = self._flat(player, vector[player]), self._flat(self.other, vector[self.other])

    def solve(self, solver: LinearSolver) -> Solution:
        """Return the player's -Δ/η, with the residual of Mx = b, whatever system was solved for it."""
        right = self.own - self.step_size * self._mixed(self.player, self.others)
        if self.game.zero_sum:
            return solver.solve(self._matrix, right)
        solution = solver.solve(lambda v: self._transposed(self._matrix(v)), self._transposed(right))
        left, length = right - self._matrix(solution.x), norm(right)
        residual = torch.where(length > 0, norm(left) / length, norm(left))
        status = solution.status
        # The residual of the normal equations bounds that of Mx = b times the inverse condition number of M.
        accuracy = max(float(solution.residual), torch.finfo(right.dtype).eps)
        if status is Status.CONVERGED and float(residual) > math.sqrt(accuracy):
            status = Status.SINGULAR
        return dataclasses.replace(solution, residual=residual, status=status)

    def vector(self, x: Float[Tensor, " n"]) -> Vector:
        """Return both players' -Δ/η, ``x`` that of the player."""
        others = self.others - self.step_size * self._mixed(self.other, x)
        return {self.player: self._split(self.player, x), self.other: self._split(self.other, others), "rule": []}

    def _matrix(self, v: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        return v - self.step_size**2 * self._mixed(self.player, self._mixed(self.other, v))

    def _transposed(self, v: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        return v - self.step_size**2 * self._mixed_transposed(self.other, self._mixed_transposed(self.player, v))

    def _mixed(self, player: str, v: Float[Tensor, " m"]) -> Float[Tensor, " n"]:
        return self._flat(player, self.game.mixed(player, self._split(OTHER[player], v)))

    def _mixed_transposed(self, player: str, v: Float[Tensor, " m"]) -> Float[Tensor, " n"]:
        return self._flat(OTHER[player], self.game.mixed_transposed(player, self._split(player, v)))

    def _flat(self, player: str, tensors: Sequence[Tensor | None]) -> Float[Tensor, " n"]:
        return join(filled(tensors, self.game.places[player]))

    def _split(self, player: str, v: Float[Tensor, " n"]) -> list[Tensor | None]:
        """Return the pieces of ``v``, ``None`` for a tensor on which neither loss depends."""
        places = self.game.places[player]
        pieces = zip(split(v, places), self.game.concerned(player), strict=True)
        return [piece if there else None for piece, there in pieces]
