"""Adversarial training that goes on learning the clean images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from tasks.vision.data import ImageBatch
from tasks.vision.games.base import Game
from tasks.vision.games.perturbed_images import PerturbedImages
from tasks.vision.games.terms import Terms


@final
class MixedRobustClassification(PerturbedImages):
    r"""The leader also classifies the clean images; the follower cares for the perturbed ones alone.

    $$\ell = \frac{\mathrm{CE}(f_\theta(x), y) + \beta \, \mathrm{CE}(f_\theta(z), y)}{1 + \beta}, \qquad
    q = -\mathrm{CE}(f_\theta(z), y)$$

    A general-sum game, so that a learned attacker takes a backward pass of its own.

    Args:
        model: the classifier.
        terms: on what terms images are perturbed.
        beta: β, the weight of the perturbed images; above 0.

    Raises:
        ConfigurationError: if the radius or ``beta`` is out of range.

    Source: the public code of Jiang et al. 2021, whose PGM baseline has β = 1; the paper has no clean term.
    """

    def __init__(self, model: nn.Module, terms: Terms, *, beta: float = 1.0) -> None:
        _check(beta)
        super().__init__(model, terms)
        self.beta = beta

    def leader_loss(self, batch: ImageBatch, z: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
        """Return the weighted mean of the clean and the perturbed images' cross-entropies."""
        return self.losses(batch, z)[0]

    def follower_loss(self, batch: ImageBatch, z: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
        """Return minus the perturbed images' cross-entropy."""
        return -self.cross_entropy(batch, z)

    def losses(self, batch: ImageBatch, z: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Return both losses from one pass of the clean and one of the perturbed images."""
        clean, perturbed = self.cross_entropy(batch, batch.x), self.cross_entropy(batch, z)
        return (clean + self.beta * perturbed) / (1 + self.beta), -perturbed


@final
@dataclass(frozen=True)
class Mixed(Game):
    """The game of `MixedRobustClassification`.

    Args:
        beta: β, the weight of the perturbed images where the clean ones have weight 1; above 0.

    Raises:
        ConfigurationError: if ``beta`` is out of range.
    """

    beta: float = 1.0

    def __post_init__(self) -> None:
        _check(self.beta)

    def task(self, model: nn.Module, terms: Terms) -> MixedRobustClassification:
        """Return the task."""
        return MixedRobustClassification(model, terms, beta=self.beta)


def _check(beta: float) -> None:
    if not (math.isfinite(beta) and beta > 0):
        raise ConfigurationError(f"beta, the weight of the perturbed images, must be finite and above 0, got {beta}.")
