"""The projected gradient method, hand-written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from bilevel.rules import SignGradient
from bilevel.starts import Center, Start
from tasks.vision.attacks.base import Attack, check_count, check_eps, check_step
from tasks.vision.attacks.frozen import FrozenClassifier
from tasks.vision.attacks.losses import AttackLoss, CrossEntropy
from tasks.vision.attacks.undisturbed import undisturbed
from tasks.vision.attacks.walk import check_iterations, walk
from tasks.vision.data import ImageBatch


@final
@dataclass(frozen=True)
class PGM(Attack):
    r"""The projected (sign) gradient method, PGM or PGD; FGSM is one step of it.

    $$z_{t+1} = \Pi\big(z_t + \eta\, \mathrm{sign}\, \nabla_z \ell(f(z_t), y)\big)$$

    with the projection onto the ℓ∞ ball around the clean image and onto [0, 1]. The papers' settings are in
    `tasks.vision.attacks.pgm`, `fgsm` and `cw`.

    Args:
        eps: the ball's radius, for pixels in [0, 1].
        steps: how many steps; the last iterate counts.
        step_size: η, in the units of ``eps``.
        start: where it begins; projected like every iterate, unless it says otherwise (``feasible=False``).
        loss: ℓ. With `Margin` the attack is called "CW".
        seed: for a random start.
        variant: what is added to the name, to tell attacks apart that differ in their start or step.

    Raises:
        ConfigurationError: for a radius, a step or a number of steps out of range.

    Source: Madry et al. 2018; Jiang et al. 2021, Eq. 4.
    """

    eps: float
    steps: int
    step_size: float
    start: Start = Center()  # noqa: RUF009 (frozen)
    loss: AttackLoss = CrossEntropy()  # noqa: RUF009 (frozen)
    seed: int = 0
    variant: str = ""

    def __post_init__(self) -> None:
        check_eps("PGM", self.eps)
        check_count("PGM", "steps", self.steps)
        check_step("PGM", self.step_size)

    @property
    def name(self) -> str:
        """Such as "PGM-20"; "CW-20" with the margin loss; "FGSM" for one full step from the clean image.

        A variant follows behind a colon: "PGM-20:zero".
        """
        one_full_step = self.steps == 1 and self.step_size == self.eps and self.start == Center()
        if one_full_step and self.loss == CrossEntropy() and not self.variant:
            return "FGSM"
        return f"{self.loss.label}-{self.steps}" + (f":{self.variant}" if self.variant else "")

    def describe(self) -> dict[str, str | float | int]:
        """Return eps, norm, steps, step_size and start."""
        return {
            "eps": self.eps,
            "norm": "linf",
            "steps": self.steps,
            "step_size": self.step_size,
            "start": repr(self.start),
        }

    def __call__(self, model: nn.Module, batch: ImageBatch) -> Float[Tensor, "n c h w"]:
        """Return the images after the last step."""
        return self.path(model, batch, [self.steps])[-1]

    def path(self, model: nn.Module, batch: ImageBatch, iterations: Sequence[int]) -> list[Float[Tensor, "n c h w"]]:
        """Return the images after each of ``iterations`` steps, all from one run.

        Args:
            model: the classifier.
            batch: the clean images and their labels.
            iterations: ascending numbers of steps; 0 is the start.

        Raises:
            ConfigurationError: if ``iterations`` does not ascend or is negative.
        """
        check_iterations(iterations)
        task = FrozenClassifier(model, eps=self.eps, start=self.start, loss=self.loss)
        with undisturbed(model, device=batch.x.device, seed=self.seed):
            return walk(task, SignGradient(self.step_size), batch, iterations)
