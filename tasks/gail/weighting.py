"""What becomes of a layer's matrix before it multiplies."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from bilevel.errors import ConfigurationError


class Weighting(abc.ABC):
    """A map from a layer's matrix to the one that is used in its place."""

    @abc.abstractmethod
    def __call__(self, weight: Float[Tensor, "out in"]) -> Float[Tensor, "out in"]:
        """Return the matrix to use for ``weight``."""


@final
@dataclass(frozen=True)
class AsTheyAre(Weighting):
    """The matrix itself."""

    def __call__(self, weight: Float[Tensor, "out in"]) -> Float[Tensor, "out in"]:
        """Return ``weight``."""
        return weight


@final
@dataclass(frozen=True)
class SpectralNorm(Weighting):
    r"""The matrix over its largest singular value, $c\, W / \sigma_1(W)$.

    So the logit changes by at most $c^L$ times the change of the input, L layers on. The singular value is exact and
    differentiated, not an estimate carried along by power iterations: the matrices are small, and the follower's loss
    stays a function of its weights.

    Args:
        scale: c, the largest singular value afterwards; positive.

    Raises:
        ConfigurationError: if ``scale`` is not a positive finite number.

    Source: Miyato et al. 2018.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ConfigurationError(f"SpectralNorm's scale is {self.scale}; it must be positive and finite.")

    def __call__(self, weight: Float[Tensor, "out in"]) -> Float[Tensor, "out in"]:
        """Return the scaled matrix."""
        largest: Tensor = torch.linalg.matrix_norm(weight, 2)
        return self.scale * weight / largest
