"""The Neumann series: a fixed number of products with a matrix, and nothing to wait for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor

from bilevel.counts import check_count
from bilevel.linear.base import LinearSolver, Operator, Solution
from bilevel.linear.system import (
    System,
    check_damping,
    check_positive,
    check_tolerance,
    stationary_status,
    tolerance_for,
)


@final
@dataclass(frozen=True)
class Neumann(LinearSolver):
    r"""Sum the first K terms of the series of $H^{-1}$.

    $$x_K = \eta \sum_{k=0}^{K-1} (I - \eta H)^k\, b$$

    with $H + \delta I$ for H where there is damping. It converges if $|1 - \eta\lambda| < 1$ for every eigenvalue
    λ of H: with real ones, if they are positive and $\eta < 2/\lambda_{\max}$. Along an eigenvector the
    relative error is exactly $(1 - \eta\lambda)^K$. The residual is $b - Hx_K = (I - \eta H)^K b$, so that it costs
    one product more than the sum: K in all. Nothing waits for the device before the end.

    ``terms`` counts terms. Lorraine et al. count the products of the sum, one less: i there is ``terms=i + 1``.
    K terms with the follower's gradient steps of length η are what unrolling K of them at the answer gives.

    Args:
        terms: K, at least 1; K = 1 is $x = \eta b$.
        step: η > 0, in the inverse units of H's eigenvalues.
        damping: $\delta \ge 0$, in the units of H's eigenvalues.
        tolerance: the relative residual at which the status is ``CONVERGED``; ``None`` is ε^(2/3) of b's dtype. It
            changes no number.

    Raises:
        ConfigurationError: for a setting outside its range.

    Source: Lorraine, Vicol and Duvenaud 2020, Algorithm 3.

    Examples:
        >>> import torch
        >>> Neumann(terms=2, step=0.25).solve(torch.tensor([[2.0]]).mv, torch.ones(1)).x
        tensor([0.3750])
    """

    terms: int
    step: float
    damping: float = 0.0
    tolerance: float | None = None

    def __post_init__(self) -> None:
        check_count("terms", self.terms)
        check_positive("step", self.step)
        check_damping(self.damping)
        check_tolerance(self.tolerance)

    def solve(self, matvec: Operator, b: Float[Tensor, " n"]) -> Solution:
        """Return the sum of ``terms`` terms; ``DIVERGED`` if its residual is above that of 0, or not finite."""
        system = System(matvec, b, self.damping)
        if system.settled is not None:
            return system.settled
        total, term = system.right.clone(), system.right
        for _ in range(self.terms - 1):
            term = term - self.step * system.product(term)
            total += term
        residual = system.relative(term - self.step * system.product(term))
        status = stationary_status(float(residual), tolerance_for(self.tolerance, b.dtype), b.dtype)
        return system.solution(self.step * total, residual, self.terms, status)
