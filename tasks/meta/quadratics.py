"""Random quadratics, the simplest functions that an optimizer can be learned on."""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from bilevel.errors import ConfigurationError
from tasks.meta.attack import SignAttack, Weights
from tasks.meta.mixture import Mixture
from tasks.meta.problems import Problem


class Quadratics(NamedTuple):
    r"""Several functions $f_i(z) = \lVert W_i z - y_i \rVert^2$.

    Attributes:
        matrix: W.
        target: y.
    """

    matrix: Float[Tensor, "n d d"]
    target: Float[Tensor, "n d"]


def draw_quadratics(count: int, size: int, generator: torch.Generator) -> Quadratics:
    """Return functions whose entries of W and y are standard normal.

    Source: Andrychowicz et al. 2016, section 3.1, and the public code of Serban et al. 2020, with d = 10.

    Args:
        count: how many.
        size: d.
        generator: what they are drawn from.
    """
    matrix = torch.randn(count, size, size, generator=generator)
    return Quadratics(matrix, torch.randn(count, size, generator=generator))


@final
class Points(nn.Module):
    """One point for each of several functions.

    Args:
        count: how many functions.
        size: numbers a point; the first ones are standard normal.
    """

    def __init__(self, count: int, size: int) -> None:
        super().__init__()
        self.z = nn.Parameter(torch.randn(count, size))

    def forward(self, functions: Quadratics) -> Float[Tensor, " n"]:
        """Return the value of each function at its point."""
        residual = torch.einsum("nij,nj->ni", functions.matrix, self.z) - functions.target
        return residual.square().sum(1)


@final
class QuadraticProblem(Problem[Quadratics, Quadratics]):
    """Several quadratics at once, each with a point of its own; the loss is the sum, so that none sees another.

    Args:
        count: how many.
        size: numbers a point.
    """

    def __init__(self, count: int = 128, size: int = 10) -> None:
        self.count = count
        self.size = size
        with torch.random.fork_rng(devices=[]):
            self._shape = Points(count, size).requires_grad_(False)

    def network(self) -> nn.Module:
        """Return random points."""
        return Points(self.count, self.size)

    def sample(self, pool: Quadratics) -> Quadratics:
        """Return all functions."""
        return pool

    def loss(self, weights: Weights, sample: Quadratics, mixture: Mixture, share: float = 1.0) -> Float[Tensor, ""]:
        """Return the sum of the functions' values; there is nothing to perturb.

        Raises:
            ConfigurationError: if adversarial examples are asked for.
        """
        if mixture.alpha < 1:
            raise ConfigurationError(
                f"Quadratics have no images to perturb, and alpha is {mixture.alpha}: set it to 1."
            )
        values: Tensor = functional_call(self._shape, dict(weights), (sample,))
        return values.sum()

    def measure(self, weights: Weights, pool: Quadratics, attack: SignAttack | None) -> dict[str, float]:
        """Return the mean value as clean_loss."""
        with torch.no_grad():
            values: Tensor = functional_call(self._shape, dict(weights), (pool,))
        return {"clean_loss": float(values.mean())}
