"""Random quadratics, the simplest functions that an optimizer can be learned on."""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn


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
