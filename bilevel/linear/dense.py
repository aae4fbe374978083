"""The dense solver: the whole matrix, for few unknowns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from bilevel.linear.base import LinearSolver, Operator, Solution, Status
from bilevel.linear.system import System, check_damping


@final
@dataclass(frozen=True)
class Dense(LinearSolver):
    r"""Build H from its products with the unit vectors and invert its singular value decomposition.

    $$H = U \Sigma V^\top, \qquad x = \sum_{\sigma_i > n \epsilon \sigma_1} v_i\, \frac{u_i^\top b}{\sigma_i}$$

    H need not be symmetric. If any singular value is at most $n \epsilon \sigma_1$, H is singular to rounding: the
    status is ``SINGULAR`` and x is the least-squares solution of least norm, whether the system has solutions or not.
    n products, or one call of ``matvec.matmat`` where there is such a method; n² numbers of memory and of the order of
    n³ operations.

    Args:
        damping: $\delta \ge 0$: $H + \delta I$ takes the place of H.

    Raises:
        ConfigurationError: for a damping that is negative or not finite.

    Source: Bengio 2000 (the implicit hypergradient with the whole Hessian).

    Examples:
        >>> Dense().solve(torch.tensor([[0.0, 2.0], [1.0, 0.0]]).mv, torch.tensor([2.0, 3.0])).x
        tensor([3., 1.])
    """

    damping: float = 0.0

    def __post_init__(self) -> None:
        check_damping(self.damping)

    def solve(self, matvec: Operator, b: Float[Tensor, " n"]) -> Solution:
        """Return the solution; ``SINGULAR`` with that of least norm, ``DIVERGED`` with NaN if H is not finite."""
        system = System(matvec, b, self.damping)
        if system.settled is not None:
            return system.settled
        matrix = _matrix(matvec, b.detach())
        matrix.diagonal().add_(self.damping)
        if not bool(matrix.isfinite().all()):
            x = torch.full_like(system.right, math.nan)
            return system.solution(x, system.relative(x), 1, Status.DIVERGED)
        u, sigma, vh = torch.linalg.svd(matrix)
        kept = sigma > b.numel() * torch.finfo(b.dtype).eps * sigma[0]
        x = vh.mT @ torch.where(kept, (u.mT @ system.right) / sigma, 0)
        status = Status.CONVERGED if bool(kept.all()) else Status.SINGULAR
        return system.solution(x, system.relative(system.right - matrix @ x), 1, status)


def _matrix(matvec: Operator, b: Float[Tensor, " n"]) -> Float[Tensor, "n n"]:
    """Return H, a tensor of its own."""
    units = torch.eye(b.numel(), dtype=b.dtype, device=b.device)
    matmat = getattr(matvec, "matmat", None)
    columns = torch.stack([matvec(unit).detach() for unit in units]) if matmat is None else matmat(units).detach()
    return columns.mT.clone()  # what the operator returned is the operator's
