"""What gradient play does to xy, in closed form; h is the step of both players.

For `Bilinear` these hold in the coordinates of the singular vectors, with h times the singular value for h.
"""

from __future__ import annotations

import math


def simultaneous_growth(step: float) -> float:
    r"""Return $\sqrt{1 + h^2}$, the factor by which simultaneous play grows the radius each step."""
    return math.hypot(1.0, step)


def simultaneous_angle(step: float) -> float:
    """Return arctan(h), the angle in radians by which simultaneous play turns each step."""
    return math.atan(step)


def leader_first_invariant(x: float, y: float, step: float) -> float:
    r"""Return $x^2 + y^2 - hxy$, which alternating play with the leader first never changes.

    One step is (x, y) ↦ (x - hy, y + h(x - hy)), a linear map of determinant 1 and trace 2 - h². For h < 2 its
    orbits lie on the ellipses of this quadratic form.
    """
    return x * x + y * y - step * x * y


def follower_first_invariant(x: float, y: float, step: float) -> float:
    r"""Return $x^2 + y^2 + hxy$, which alternating play with the follower first never changes."""
    return x * x + y * y + step * x * y


def alternating_angle(step: float) -> float:
    """Return 2 arcsin(h/2), the mean angle in radians by which alternating play turns each step (h <= 2)."""
    return 2 * math.asin(step / 2)


def alternating_radii(invariant: float, step: float) -> tuple[float, float]:
    r"""Return the least and the greatest radius on the ellipse of ``invariant``, for h < 2.

    The quadratic form has the eigenvalues 1 ± h/2, so $Q/(1 + h/2) \le x^2 + y^2 \le Q/(1 - h/2)$.
    """
    return math.sqrt(invariant / (1 + step / 2)), math.sqrt(invariant / (1 - step / 2))
