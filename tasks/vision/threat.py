"""What an attacker may do to an image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor

from bilevel.errors import ConfigurationError
from bilevel.projections import box, linf_ball
from bilevel.starts import Center, Start


@final
@dataclass(frozen=True)
class Threat:
    r"""Perturbed images within a distance of the clean ones and within [0, 1], and where to begin among them.

    $$\{ z : \lVert z - x \rVert_\infty \le \epsilon, \ 0 \le z \le 1 \}$$

    Args:
        eps: ε, in units of the pixel range [0, 1]; above 0 and at most 1.
        begin: where the attack begins.

    Raises:
        ConfigurationError: if ``eps`` is out of range.
    """

    eps: float
    begin: Start = Center()  # noqa: RUF009 (frozen)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.eps) and 0 < self.eps <= 1):
            raise ConfigurationError(
                f"The radius eps is in units of the pixel range [0, 1] and must be above 0 and at most 1, got "
                f"{self.eps}; 8 grey levels out of 255 are 0.0314. Training without perturbations is the method plain."
            )

    def start(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return where the attack on the images ``x`` begins."""
        z = self.begin(x)
        return self.project(x, z) if z is not x and self.begin.feasible else z

    def project(self, x: Float[Tensor, "n c h w"], z: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return the allowed images nearest to ``z``: first into the ball around ``x``, then into [0, 1]."""
        return box(linf_ball(z, center=x, radius=self.eps))
