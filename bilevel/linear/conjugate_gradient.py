"""Conjugate gradient: the fewest products with a symmetric positive definite matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from bilevel.counts import check_count
from bilevel.linear.base import LinearSolver, Operator, Solution, Status
from bilevel.linear.system import System, check_damping, check_tolerance, norm, tolerance_for


@final
@dataclass(frozen=True)
class ConjugateGradient(LinearSolver):
    r"""Minimise $\tfrac12 v^\top H v - b^\top v$ along directions that are conjugate in H.

    $$\alpha = \frac{r^\top r}{p^\top H p}, \quad x \leftarrow x + \alpha p, \quad r' = r - \alpha H p, \quad
    p \leftarrow r' + \frac{r'^\top r'}{r^\top r}\, p, \quad r \leftarrow r'$$

    from x = 0 and r = p = b; with damping $\delta$, H is $H + \delta I$ throughout. Exact after n steps but for
    rounding; the error falls at least as $2 ((\sqrt\kappa - 1)/(\sqrt\kappa + 1))^k$ for condition number
    $\kappa$. A step is one product with H.

    r drifts from the true residual by rounding, so that what is reported, and judged, is b - Hx from one product at
    the end. A direction of negative curvature, or of none, has no minimum along it: the iteration stops before it.
    Curvature counts as none below 32 ε times the largest $|Hp|/|p|$ seen, where H is singular to rounding. Where H is
    singular but b is in its range, the answer is the solution of least norm, and has converged.

    Args:
        tolerance: the relative residual to stop at; ``None`` is ε^(2/3) of b's dtype, 4e-11 in float64 and 2e-5 in
            float32.
        max_steps: the most steps; ``None`` is 10 n, as rounding needs more than n, but at most 1,000, so that
            a network's millions of unknowns come to an end.
        damping: $\delta \ge 0$, in the units of H's eigenvalues.
        check_every: after how many steps the device is asked whether to stop. Steps in between change nothing once
            it should have stopped; they cost their products.

    Raises:
        ConfigurationError: for a setting outside its range.

    Source: Hestenes and Stiefel 1952; for hypergradients Pedregosa 2016 and Rajeswaran et al. 2019 (iMAML).

    Examples:
        >>> h = torch.tensor([[4.0, 1.0], [1.0, 3.0]])
        >>> ConjugateGradient().solve(h.mv, torch.tensor([1.0, 2.0])).x
        tensor([0.0909, 0.6364])
    """

    tolerance: float | None = None
    max_steps: int | None = None
    damping: float = 0.0
    check_every: int = 1

    def __post_init__(self) -> None:
        check_tolerance(self.tolerance)
        check_damping(self.damping)
        check_count("check_every", self.check_every)
        if self.max_steps is not None:
            check_count("max_steps", self.max_steps)

    def solve(self, matvec: Operator, b: Float[Tensor, " n"]) -> Solution:
        """Return the last iterate; the status is that of its true residual."""
        system = System(matvec, b, self.damping)
        if system.settled is not None:
            return system.settled
        eps = torch.finfo(b.dtype).eps
        tolerance = tolerance_for(self.tolerance, b.dtype)
        max_steps = min(10 * b.numel(), 1000) if self.max_steps is None else self.max_steps

        x, r, p = torch.zeros_like(system.right), system.right.clone(), system.right
        rr = pp = r @ r
        goal = max(tolerance, eps) ** 2 * rr  # below ε the recursion goes on falling, the true residual does not
        hp, scale, lowest = p, torch.zeros_like(rr), torch.full_like(rr, math.inf)
        live, steps = torch.ones_like(rr, dtype=torch.bool), torch.zeros_like(rr, dtype=torch.int64)
        for step in range(1, max_steps + 1):
            hp = system.product(p)
            curvature = p @ hp
            # Of all directions so far, as the scale of H may show only after a direction without curvature was taken.
            lowest = torch.minimum(lowest, curvature / pp)
            scale = torch.maximum(scale, norm(hp) / pp.sqrt())
            live = live & ~(lowest <= 32 * eps * scale)  # NaN goes on, to be seen in x
            alpha = torch.where(live, rr / curvature, 0)
            x.addcmul_(p, alpha)
            r.addcmul_(hp, alpha, value=-1)
            after = torch.where(live, r @ r, rr)
            beta = torch.where(live, after / rr, 1)
            p = (beta * p).addcmul_(r, live.to(r.dtype))  # where it stopped, p stays as x does
            rr, pp = after, torch.addcmul(after, beta.square(), pp)  # r is orthogonal to the p before
            steps += live
            live = live & (rr > goal)
            if step % self.check_every == 0 and not live:
                break

        residual = system.relative(system.right - system.product(x))
        if not math.isfinite(float(residual)):
            status = Status.DIVERGED
        elif float(residual) <= tolerance:
            status = Status.CONVERGED
        elif bool(live) or bool(rr <= goal):
            status = Status.MAX_STEPS
        else:
            status = _breakdown(system, p, hp, float(scale), 32 * eps)
        return system.solution(x, residual, int(steps), status)


def _breakdown(
    system: System, p: Float[Tensor, " n"], hp: Float[Tensor, " n"], scale: float, threshold: float
) -> Status:
    """Return what is wrong with H, which has no positive curvature along ``p``.

    Where H is positive semidefinite, no curvature along p means that Hp is zero, as |Hp|² is at most the largest
    eigenvalue times p'Hp. Whether a small Hp is rounding shows in the next product: H times rounding is as large as
    rounding times H.
    """
    image, length = float(norm(hp)), float(norm(p))
    if image > 0:
        scale = max(scale, float(norm(system.product(hp / image))))
    if not math.isfinite(scale):
        return Status.DIVERGED
    curvature = float(p @ hp) / length**2
    crossed = curvature <= threshold * scale and image / length > math.sqrt(threshold) * scale
    return Status.INDEFINITE if curvature < -threshold * scale or crossed else Status.SINGULAR
