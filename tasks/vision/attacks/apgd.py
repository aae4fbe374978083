"""APGD, untargeted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from bilevel.starts import Start, Uniform
from tasks.vision.attacks.base import Attack, check_count, check_eps
from tasks.vision.attacks.climb import climb
from tasks.vision.attacks.losses import AttackLoss, CrossEntropy
from tasks.vision.attacks.undisturbed import undisturbed
from tasks.vision.data import ImageBatch


@final
@dataclass(frozen=True)
class APGD(Attack):
    """Auto-PGD: PGM with inertia that sets its step size by itself; `climb` has the algorithm.

    Args:
        eps: the ball's radius, for pixels in [0, 1].
        steps: how many steps a sample gets at most; 100 in AutoAttack.
        loss: what it raises; the cross-entropy in AutoAttack.
        seed: for the start, a point drawn uniformly from the ball.

    Raises:
        ConfigurationError: for a radius or a number of steps out of range.

    Source: Croce and Hein 2020, section 3.
    """

    eps: float
    steps: int = 100
    loss: AttackLoss = CrossEntropy()  # noqa: RUF009 (frozen)
    seed: int = 0

    def __post_init__(self) -> None:
        check_eps("APGD", self.eps)
        check_count("APGD", "steps", self.steps)

    @property
    def name(self) -> str:
        """Such as "APGD-CE-100"."""
        return f"APGD-{self.loss.short}-{self.steps}"

    def describe(self) -> dict[str, str | float | int]:
        """Return eps, norm, steps, the first step as step_size, and start."""
        start: Start = Uniform(self.eps)
        return {"eps": self.eps, "norm": "linf", "steps": self.steps, "step_size": 2 * self.eps, "start": repr(start)}

    def __call__(self, model: nn.Module, batch: ImageBatch) -> Float[Tensor, "n c h w"]:
        """Return the first misclassified iterate, else the one of the highest loss."""
        with undisturbed(model, device=batch.x.device, seed=self.seed):
            return climb(
                model,
                batch,
                batch.y,
                lambda logits, y, _aim: self.loss.each(logits, y),
                eps=self.eps,
                steps=self.steps,
                start=Uniform(self.eps),
            )
