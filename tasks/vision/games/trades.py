"""TRADES: accuracy on the clean images against agreement around them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bilevel.errors import ConfigurationError
from bilevel.starts import Center, Gaussian
from tasks.vision.data import ImageBatch
from tasks.vision.games.base import Game
from tasks.vision.games.constant import AttackConstant
from tasks.vision.games.divergence import divergence
from tasks.vision.games.perturbed_images import PerturbedImages
from tasks.vision.games.terms import Terms

START = Gaussian(0.001 / 0.031)
"""Where its attack begins in Zhang et al. 2019, in multiples of ε."""


@final
class TradesClassification(PerturbedImages):
    r"""The leader classifies the clean images and shall say the same of the perturbed ones; the follower disagrees.

    $$\ell = \mathrm{CE}(f_\theta(x), y) + \beta \, \mathrm{KL}(f_\theta(x) \,\|\, f_\theta(z)), \qquad
    q = -\mathrm{KL}(f_\theta(x) \,\|\, f_\theta(z))$$

    A general-sum game. The label is no part of the follower's loss, and $f_\theta(x)$ is a constant of it, computed
    once an attack; the leader's derivative goes through both predictions. KL is least at z = x, where its gradient is
    0, so that an attack cannot begin there.

    Args:
        model: the classifier.
        terms: on what terms images are perturbed. Its own start is 0.001 · N(0, I) at ε = 0.031, and in proportion
            elsewhere; the authors' code attacks in evaluation mode.
        beta: β, what disagreement costs; above 0.

    Raises:
        ConfigurationError: if the radius or ``beta`` is out of range, or the start is the clean image.

    Source: Zhang et al. 2019, Algorithm 1.
    """

    def __init__(self, model: nn.Module, terms: Terms, *, beta: float = 6.0) -> None:
        _check(beta)
        if isinstance(terms.start, Center) and terms.beginning is None:
            raise ConfigurationError(
                "TRADES cannot attack from the clean image, where the gradient of its divergence is 0: choose a random "
                "start, such as Gaussian (its own) or Uniform."
            )
        super().__init__(model, terms, START.scaled(terms.eps))
        self.beta = beta
        self._clean = AttackConstant(self._predict)

    def start(self, batch: ImageBatch) -> Float[Tensor, "n c h w"]:
        """Return where the attack begins."""
        self._clean.forget()
        return super().start(batch)

    def leader_loss(self, batch: ImageBatch, z: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
        """Return the clean images' cross-entropy plus β times the divergence, from a pass of each kind of images."""
        return self._weighed(batch, self.logits(batch, batch.x), self.leader(z))

    def follower_loss(self, batch: ImageBatch, z: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
        """Return minus the divergence from the prediction for the clean images, a constant."""
        return -divergence(self._clean(batch.x), self.logits(batch, z))

    def losses(self, batch: ImageBatch, z: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Return both losses from one pass of the clean and one of the perturbed images."""
        clean, perturbed = self.logits(batch, batch.x), self.leader(z)
        return self._weighed(batch, clean, perturbed), -divergence(clean.detach(), perturbed)

    def _weighed(self, batch: ImageBatch, clean: Tensor, perturbed: Tensor) -> Tensor:
        return functional.cross_entropy(clean, batch.y) + self.beta * divergence(clean, perturbed)

    def _predict(self, x: Tensor) -> Tensor:
        with self.inner_context():
            logits: Tensor = self.leader(x)
        return logits


@final
@dataclass(frozen=True)
class Trades(Game):
    """The game of `TradesClassification`.

    Args:
        beta: β, what disagreement costs; above 0. Zhang et al. 2019 have 1 and 6 (their 1/λ); 6 is the default.

    Raises:
        ConfigurationError: if ``beta`` is out of range.
    """

    beta: float = 6.0

    def __post_init__(self) -> None:
        _check(self.beta)

    def task(self, model: nn.Module, terms: Terms) -> TradesClassification:
        """Return the task.

        Raises:
            ConfigurationError: as `TradesClassification` does.
        """
        return TradesClassification(model, terms, beta=self.beta)


def _check(beta: float) -> None:
    if not (math.isfinite(beta) and beta > 0):
        raise ConfigurationError(
            f"beta, what disagreement costs in TRADES, must be finite and above 0, got {beta}. Training on the clean "
            "images alone is the method plain."
        )
