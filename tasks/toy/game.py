"""Games of two players on a few numbers: the common part."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from typing import TypeAlias

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from bilevel.projections import box
from bilevel.task import MinimaxTask

Point: TypeAlias = float | Sequence[float] | Tensor
"""Where a player stands: a number or a vector of them."""


class Game(MinimaxTask[nn.Parameter, None], abc.ABC):
    r"""The game $\min_x \max_y f(x, y)$ in float64; the leader plays x, the follower y.

    A subclass defines `value` and `equilibrium`. There is no data: every step's batch is ``None``.

    Args:
        x: where the leader starts, a number or a vector.
        y: where the follower starts, likewise.
        lives_on: whether the follower goes on from its last answer, as in gradient play, or starts anew from ``y`` at
            each step, as an attacker starts anew from the clean image.
        bound: y is kept in [-bound, bound], each coordinate.

    Raises:
        ConfigurationError: if a start is not finite or lies outside the bound, or the bound is not above 0.
    """

    def __init__(self, x: Point, y: Point, *, lives_on: bool = True, bound: float = math.inf) -> None:
        super().__init__(nn.Parameter(_point(x, "x")), lives_on=lives_on)
        self.y = _point(y, "y")
        self.bound = bound
        if not bound > 0:
            raise ConfigurationError(f"The bound on y must be a number above 0, got {bound}.")
        if self.y.abs().max() > bound:
            raise ConfigurationError(f"The follower starts at y = {self.y.tolist()}, outside its bound of {bound}.")

    @abc.abstractmethod
    def value(self, x: Float64[Tensor, "*leader"], y: Float64[Tensor, "*follower"]) -> Float64[Tensor, ""]:
        """Return f(x, y)."""

    @property
    @abc.abstractmethod
    def equilibrium(self) -> tuple[Float64[Tensor, "*leader"], Float64[Tensor, "*follower"]]:
        """The point (x, y) at which neither player has a gradient."""

    def start(self, batch: None) -> Float64[Tensor, "*follower"]:
        """Return the follower's start."""
        return self.y

    def project(self, batch: None, z: Float64[Tensor, "*follower"]) -> Float64[Tensor, "*follower"]:
        """Return the nearest point within the bound."""
        return z if math.isinf(self.bound) else box(z, low=-self.bound, high=self.bound)

    def loss(self, batch: None, z: Float64[Tensor, "*follower"]) -> Float64[Tensor, ""]:
        """Return f(x, z) at the leader's x."""
        return self.value(self.leader, z)

    def distance(self, x: Float64[Tensor, "*leader"], y: Float64[Tensor, "*follower"]) -> float:
        """Return the Euclidean distance of (x, y) to the equilibrium."""
        at_x, at_y = self.equilibrium
        return math.hypot(float(torch.linalg.vector_norm(x - at_x)), float(torch.linalg.vector_norm(y - at_y)))


def _point(value: Point, name: str) -> Tensor:
    point = torch.as_tensor(value, dtype=torch.float64).detach().clone()  # the leader's is moved in place
    if point.ndim > 1 or point.numel() == 0 or not torch.isfinite(point).all():
        raise ConfigurationError(
            f"The start {name} must be a finite number or a non-empty vector of them, got {point.tolist()}."
        )
    return point
