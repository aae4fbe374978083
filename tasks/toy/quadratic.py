"""The bilinear game with a price on each player's own moves."""

from __future__ import annotations

import math
from typing import final

import torch
from jaxtyping import Float64
from torch import Tensor

from bilevel.errors import ConfigurationError
from tasks.toy.game import Game


@final
class Quadratic(Game):
    r"""The game $f(x, y) = xy + \frac{a}{2} x^2 - \frac{b}{2} y^2$, with its equilibrium at (0, 0).

    Simultaneous gradient steps of size h are the linear map with trace 2 - h(a + b) and determinant
    (1 - ha)(1 - hb) + h²: they converge if and only if the determinant is below 1 and the trace above
    -(1 + determinant). With a = b the radius is multiplied by exactly
    $\sqrt{(1 - ha)^2 + h^2}$ a step, which is below 1 for h < 2a / (1 + a²): a price, however small, makes
    gradient play arrive, if the steps are small enough. For a, b > 0 (0, 0) is the saddle point.

    Args:
        x: the leader's start.
        y: the follower's start.
        a: the leader's price, at least 0.
        b: the follower's price, at least 0.
        lives_on: see `Game`.
        bound: see `Game`.

    Raises:
        ConfigurationError: if a price is negative or not finite.
    """

    def __init__(
        self,
        x: float = 1.0,
        y: float = 0.0,
        *,
        a: float = 0.2,
        b: float = 0.2,
        lives_on: bool = True,
        bound: float = math.inf,
    ) -> None:
        super().__init__(float(x), float(y), lives_on=lives_on, bound=bound)
        if not (a >= 0 and b >= 0 and math.isfinite(a + b)):
            raise ConfigurationError(f"Quadratic's prices must be finite and at least 0, got a = {a} and b = {b}.")
        self.a, self.b = a, b

    def value(self, x: Float64[Tensor, ""], y: Float64[Tensor, ""]) -> Float64[Tensor, ""]:
        """Return xy + (a/2)x² - (b/2)y²."""
        return x * y + 0.5 * self.a * x.square() - 0.5 * self.b * y.square()

    @property
    def equilibrium(self) -> tuple[Float64[Tensor, ""], Float64[Tensor, ""]]:
        """(0, 0)."""
        return torch.zeros_like(self.leader.detach()), torch.zeros_like(self.y)
