"""Stability training: the same answer for an image and for its noisy copy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor, nn, optim
from torch.nn import functional

from bilevel.errors import ConfigurationError
from bilevel.rules.stay import Stay
from bilevel.solver import Solver
from bilevel.starts import Gaussian
from tasks.vision.data import ImageBatch
from tasks.vision.games import PerturbedImages, Terms
from tasks.vision.games.divergence import divergence
from tasks.vision.methods.base import Method


@final
class NoisyCopies(PerturbedImages):
    r"""The follower is noise, which has no loss; the leader classifies the images and shall say the same of the copies.

    $$\ell = \mathrm{CE}(f_\theta(x), y) + \alpha \, \mathrm{KL}(f_\theta(x) \,\|\, f_\theta(z)), \qquad
    z = x + \sigma N(0, I)$$

    Args:
        model: the classifier.
        alpha: α.
        noise: σ, in units of the pixel range [0, 1].
    """

    def __init__(self, model: nn.Module, *, alpha: float, noise: float) -> None:
        # The ball is the whole pixel range and stays unused: noise is not projected.
        super().__init__(model, Terms(1.0, Gaussian(noise, feasible=False)))
        self.alpha = alpha

    def project(self, batch: ImageBatch, z: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Return ``z``: noise is not limited, nor cut off at 0 and 1."""
        return z

    def leader_loss(self, batch: ImageBatch, z: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
        """Return the clean images' cross-entropy plus α times the divergence."""
        clean = self.logits(batch, batch.x)
        return functional.cross_entropy(clean, batch.y) + self.alpha * divergence(clean, self.leader(z))

    def follower_loss(self, batch: ImageBatch, z: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
        """Return 0, and never be asked: nothing moves along it."""
        return z.new_zeros(())


@final
@dataclass(frozen=True)
class Stability(Method):
    r"""Learn the clean images, and the same prediction for copies with Gaussian noise: two full passes a step.

    $$\min_\theta \ \mathrm{CE}(f_\theta(x), y) + \alpha \, \mathrm{KL}(f_\theta(x) \,\|\, f_\theta(z)), \qquad
    z = x + \sigma N(0, I)$$

    The derivative goes through both predictions. (Zheng et al. print the cross-entropy of the two in place of the
    divergence, which differs by the entropy of the first.) The radius ε plays no part.

    Raises:
        ConfigurationError: if a setting is not a finite number above 0.

    Source: Zheng et al. 2016; a row of Table 2 of Jiang et al. 2021.
    """

    alpha: float = 0.01
    """α, what disagreement costs; positive."""

    noise: float = 0.04
    """σ, in units of the pixel range [0, 1], not of ε; positive."""

    def __post_init__(self) -> None:
        for name in ("alpha", "noise"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigurationError(
                    f"Stability training's {name} must be finite and above 0, got {value}. Without it, it is the "
                    "method plain."
                )

    def solver(
        self, model: nn.Module, *, eps: float, channels: int, samples: int, leader_optimizer: optim.Optimizer
    ) -> Solver[ImageBatch]:
        """Return the solver."""
        return Solver(NoisyCopies(model, alpha=self.alpha, noise=self.noise), Stay(), leader_optimizer=leader_optimizer)
