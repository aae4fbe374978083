"""Where a follower begins: at a given centre, or at a random point around it."""

from __future__ import annotations

import abc
import dataclasses
import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from bilevel.errors import ConfigurationError


class Start(abc.ABC):
    """A map from a centre (the clean images, say) to the point where the follower begins.

    It knows nothing of the feasible set; a task projects the point it returns, unless ``feasible`` is ``False``.
    Random points come from PyTorch's global generator of the centre's device, or from the ``generator`` that is given.
    """

    feasible: bool = True
    """Whether the follower's first gradient is to be taken inside the feasible set."""

    @abc.abstractmethod
    def __call__(
        self, center: Float[Tensor, "*shape"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "*shape"]:
        """Return the start, of the shape, dtype and device of ``center``."""

    @abc.abstractmethod
    def scaled(self, factor: float) -> Start:
        """Return the start whose distances from the centre are ``factor`` times as large."""


@final
@dataclass(frozen=True)
class Center(Start):
    """The centre itself (Jiang et al. 2021, Eq. 4: a perturbation of zero)."""

    def __call__(
        self,
        center: Float[Tensor, "*shape"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "*shape"]:
        """Return ``center``."""
        return center

    def scaled(self, factor: float) -> Center:
        """Return itself."""
        return self


@final
@dataclass(frozen=True)
class Uniform(Start):
    r"""A point drawn uniformly from the cube around the centre, $c + U(-r, r)$.

    Args:
        radius: r, in the units of the centre; positive.
        feasible: whether the task is to project the point. ``False`` lets the first gradient be taken outside of
            [0, 1], as the evaluation code of Jiang et al. 2021 does.

    Raises:
        ConfigurationError: if ``radius`` is not a finite number above 0.
    """

    radius: float
    feasible: bool = True

    def __post_init__(self) -> None:
        _check("Uniform", "radius", self.radius)

    def __call__(
        self, center: Float[Tensor, "*shape"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "*shape"]:
        """Return the drawn point."""
        return center + torch.empty_like(center).uniform_(-self.radius, self.radius, generator=generator)

    def scaled(self, factor: float) -> Uniform:
        """Return the start in a cube ``factor`` times as large."""
        return dataclasses.replace(self, radius=factor * self.radius)


@final
@dataclass(frozen=True)
class Gaussian(Start):
    r"""A point drawn around the centre, $c + \sigma \, N(0, I)$.

    Args:
        std: σ, in the units of the centre; positive. The training code of Jiang et al. 2021 has 0.001.
        feasible: whether the task is to project the point.

    Raises:
        ConfigurationError: if ``std`` is not a finite number above 0.
    """

    std: float
    feasible: bool = True

    def __post_init__(self) -> None:
        _check("Gaussian", "std", self.std)

    def __call__(
        self, center: Float[Tensor, "*shape"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "*shape"]:
        """Return the drawn point."""
        return center + torch.empty_like(center).normal_(0.0, self.std, generator=generator)

    def scaled(self, factor: float) -> Gaussian:
        """Return the start with ``factor`` times the standard deviation."""
        return dataclasses.replace(self, std=factor * self.std)


def _check(name: str, field: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ConfigurationError(
            f"{name}: {field} must be a finite number above 0, got {value}. Center() begins at the centre itself."
        )
