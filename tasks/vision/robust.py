"""Adversarial training as a game between a classifier and the images it is shown."""

from __future__ import annotations

import math
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from bilevel.starts import Center, Start
from bilevel.task import MinimaxTask
from tasks.vision.beginning import Beginning
from tasks.vision.data import ImageBatch
from tasks.vision.norm_modes import EvalModeNorm, NormMode
from tasks.vision.perturbed_images import PerturbedImages


@final
class RobustClassification(PerturbedImages, MinimaxTask[nn.Module, ImageBatch]):
    r"""Distributionally robust classification: the follower perturbs the images, the leader classifies them.

    $$\min_\theta \max_z \frac1n \sum_i \mathrm{CE}(f_\theta(z_i), y_i), \qquad
    \lVert z - x \rVert_\infty \le \epsilon, \ z \in [0, 1]$$

    Args:
        model: the classifier f; ``model(z)`` returns logits (n, classes).
        eps: ε, in units of the pixel range [0, 1].
        start: where an attack begins. By default at the clean images, as Jiang et al. 2021, Eq. 4, has it and as their
            learned attackers do: nothing is random, and no perturbation is thrown away by the projection. A sign
            gradient that is used once is better started from `Uniform(eps)` (Wong et al. 2020). Random starts are
            projected, so that each gradient is taken at images that could be shown; the authors' evaluation code does
            not do so: ``Uniform(eps, feasible=False)``.
        norm: the batch-norm mode of the passes that make the attack. By default `EvalModeNorm`: the attack is made on
            the classifier as it will be attacked, on each image by itself, and leaves nothing in the running
            statistics. Under `Simultaneous` play the pass that trains a learned attacker is the leader's own, in
            training mode, whatever the mode.
        beginning: what attacks know of earlier visits, such as a `WarmStart`; ``None`` for nothing.

    Raises:
        ConfigurationError: if ``eps`` is out of range; at the first loss, if the batch or the logits are not as they
            should be (later batches are not looked at: it would take a wait for the device each time).

    Source: Jiang et al. 2021, Eq. 2 and 3.
    """

    def __init__(
        self,
        model: nn.Module,
        eps: float,
        start: Start = Center(),  # noqa: B008 (frozen)
        norm: NormMode = EvalModeNorm(),  # noqa: B008 (frozen)
        beginning: Beginning | None = None,
    ) -> None:
        super().__init__(model, eps, start, norm, beginning)

    def loss(self, batch: ImageBatch, z: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
        """Return the mean cross-entropy of the perturbed images."""
        return self.cross_entropy(batch, z)


@final
class MixedRobustClassification(PerturbedImages):
    r"""The leader also classifies the clean images; the follower cares for the perturbed ones alone.

    $$\ell = \frac{\mathrm{CE}(f_\theta(x), y) + \beta \, \mathrm{CE}(f_\theta(z), y)}{1 + \beta}, \qquad
    q = -\mathrm{CE}(f_\theta(z), y)$$

    A general-sum game, so that a learned attacker takes a backward pass of its own.

    Args:
        model: the classifier.
        eps: ε, in units of the pixel range [0, 1].
        beta: β, the weight of the perturbed images; above 0.
        start: where an attack begins, as in `RobustClassification`.
        norm: the batch-norm mode of the attack, as in `RobustClassification`.
        beginning: what attacks know of earlier visits, as in `RobustClassification`.

    Raises:
        ConfigurationError: if ``eps`` or ``beta`` is out of range.

    Source: the public code of Jiang et al. 2021, whose PGM baseline has β = 1; the paper has no clean term.
    """

    def __init__(
        self,
        model: nn.Module,
        eps: float,
        *,
        beta: float = 1.0,
        start: Start = Center(),  # noqa: B008 (frozen)
        norm: NormMode = EvalModeNorm(),  # noqa: B008 (frozen)
        beginning: Beginning | None = None,
    ) -> None:
        if not (math.isfinite(beta) and beta > 0):
            raise ConfigurationError(
                f"beta, the weight of the perturbed images, must be finite and above 0, got {beta}."
            )
        super().__init__(model, eps, start, norm, beginning)
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
