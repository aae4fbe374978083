"""Fixed-point iteration: the adjoint of the follower's own update, iterated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from bilevel.counts import check_count
from bilevel.linear.base import LinearSolver, Operator, Solution
from bilevel.linear.system import System, check_tolerance, stationary_status, tolerance_for


@final
@dataclass(frozen=True)
class FixedPoint(LinearSolver):
    r"""Iterate $v \leftarrow b + Jv$ for the system $(I - J)\, v = b$.

    $$v_0 = 0, \qquad v_{k+1} = v_k + (b - Hv_k), \qquad H = I - J$$

    ``matvec`` is $v \mapsto v - Jv$, so that the residual of each iterate comes with the step from it: K
    products for K steps and the residual of the last. With $J = (\partial\Phi/\partial z)^\top$ of the follower's
    update Φ at its fixed point, this is what differentiating through K more updates there gives. J need not be
    symmetric; the error falls as the powers of J, to zero if its spectral radius is below 1. $v_K$ is the sum
    of K terms of the Neumann series with step 1.

    It stops early where the residual is within the tolerance, or has grown to $\epsilon^{-1/2}$, by which half of b's
    digits are lost; less growth may be transient where J is not normal.

    Args:
        steps: the most steps K, at least 1.
        tolerance: the relative residual to stop at; ``None`` is ε^(2/3) of b's dtype.
        check_every: after how many steps the device is asked whether to stop.

    Raises:
        ConfigurationError: for a setting outside its range.

    Source: Grazzi et al. 2020, "On the iteration complexity of hypergradient computation".

    Examples:
        >>> FixedPoint(steps=2).solve(lambda v: v - 0.5 * v, torch.ones(1)).x
        tensor([1.5000])
    """

    steps: int
    tolerance: float | None = None
    check_every: int = 1

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_tolerance(self.tolerance)
        check_count("check_every", self.check_every)

    def solve(self, matvec: Operator, b: Float[Tensor, " n"]) -> Solution:
        """Return the last iterate; ``DIVERGED`` if its residual is above that of 0, or not finite."""
        system = System(matvec, b)
        if system.settled is not None:
            return system.settled
        tolerance = tolerance_for(self.tolerance, b.dtype)
        limit = torch.finfo(b.dtype).eps ** -0.5
        v, residual, step = system.right, system.right, 1
        for step in range(1, self.steps + 1):
            v = v + residual if step > 1 else v  # from v = 0 the first step leads to b, without a product
            residual = system.right - system.product(v)
            if step % self.check_every == 0 and not tolerance < float(system.relative(residual)) < limit:
                break
        size = system.relative(residual)
        return system.solution(v, size, step, stationary_status(float(size), tolerance, b.dtype))
