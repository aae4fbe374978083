"""The gradient of each image's own loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor

from bilevel.learned import Preprocess


@final
@dataclass(frozen=True)
class PerImage(Preprocess):
    r"""The gradient of each image's own loss, $\nabla_{x_i} \ell(f(x_i), y_i) = n \, g_i$.

    The loss is a mean over the n images of a batch, so that the gradient g has a factor of 1/n; without this an
    attacker would see smaller numbers in larger batches.

    Source: Jiang et al. 2021, section 3, where the attacker's input is this gradient as it is.
    """

    def __call__(self, g: Float[Tensor, "*shape"]) -> tuple[Float[Tensor, "*shape"], ...]:
        """Return n times ``g``."""
        return (len(g) * g,)
