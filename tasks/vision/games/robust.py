"""Adversarial training as a zero-sum game between a classifier and the images it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from bilevel.task import MinimaxTask
from tasks.vision.data import ImageBatch
from tasks.vision.games.base import Game
from tasks.vision.games.perturbed_images import PerturbedImages
from tasks.vision.games.terms import Terms


@final
class RobustClassification(PerturbedImages, MinimaxTask[nn.Module, ImageBatch]):
    r"""Distributionally robust classification: the follower perturbs the images, the leader classifies them.

    $$\min_\theta \max_z \frac1n \sum_i \mathrm{CE}(f_\theta(z_i), y_i), \qquad
    \lVert z - x \rVert_\infty \le \epsilon, \ z \in [0, 1]$$

    Args:
        model: the classifier f; ``model(z)`` returns logits (n, classes).
        terms: on what terms images are perturbed.

    Raises:
        ConfigurationError: if the radius is out of range; at the first loss, if the batch or the logits are not as they
            should be (later batches are not looked at: it would take a wait for the device each time).

    Source: Jiang et al. 2021, Eq. 2 and 3.
    """

    def loss(self, batch: ImageBatch, z: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
        """Return the mean cross-entropy of the perturbed images."""
        return self.cross_entropy(batch, z)


@final
@dataclass(frozen=True)
class Robust(Game):
    """The zero-sum game of `RobustClassification`: one backward pass serves both players."""

    def task(self, model: nn.Module, terms: Terms) -> RobustClassification:
        """Return the task."""
        return RobustClassification(model, terms)
