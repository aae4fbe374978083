"""Adversarial training as a zero-sum game between a classifier and the images it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from bilevel.starts import Center, Start
from bilevel.task import MinimaxTask
from tasks.vision.beginning import Beginning
from tasks.vision.data import ImageBatch
from tasks.vision.games.base import Game
from tasks.vision.games.perturbed_images import PerturbedImages
from tasks.vision.norm_modes import EvalModeNorm, NormMode


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
@dataclass(frozen=True)
class Robust(Game):
    """The zero-sum game of `RobustClassification`: one backward pass serves both players."""

    def task(
        self,
        model: nn.Module,
        eps: float,
        *,
        start: Start = Center(),  # noqa: B008 (frozen)
        norm: NormMode = EvalModeNorm(),  # noqa: B008 (frozen)
        beginning: Beginning | None = None,
    ) -> RobustClassification:
        """Return the task."""
        return RobustClassification(model, eps, start, norm, beginning)
