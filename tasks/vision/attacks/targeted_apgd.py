"""APGD towards one class after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from jaxtyping import Float, Int
from torch import Tensor, nn

from bilevel.errors import TaskError
from bilevel.starts import Uniform
from tasks.vision.attacks.base import Attack, check_count, check_eps
from tasks.vision.attacks.climb import climb
from tasks.vision.attacks.in_turn import in_turn
from tasks.vision.attacks.predict import logits_of
from tasks.vision.attacks.undisturbed import undisturbed
from tasks.vision.data import ImageBatch


def targeted_dlr(logits: Float[Tensor, "n k"], y: Int[Tensor, " n"], aim: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    r"""Return the targeted difference-of-logits ratio of each sample.

    $$-\frac{z_y - z_t}{z_{\pi_1} - (z_{\pi_3} + z_{\pi_4}) / 2}$$

    with the logits sorted by π. It does not change with the logits' scale, which alone can make the gradient of the
    cross-entropy vanish.

    Source: Croce and Hein 2020, Eq. 6.
    """
    largest = logits.topk(4, dim=1).values
    scale = largest[:, 0] - 0.5 * (largest[:, 2] + largest[:, 3]) + 1e-12
    own, other = (logits.gather(1, one.long().unsqueeze(1)).squeeze(1) for one in (y, aim))
    return (other - own) / scale


@final
@dataclass(frozen=True)
class TargetedAPGD(Attack):
    """APGD-T: APGD on the targeted DLR loss, towards each of the likeliest wrong classes in turn.

    A sample that is misclassified is spared the other classes.

    Args:
        eps: the ball's radius, for pixels in [0, 1].
        steps: how many steps a class; 100 in AutoAttack.
        targets: how many classes, at most all wrong ones; 9 in AutoAttack.
        seed: for the starts, drawn uniformly from the ball.

    Raises:
        ConfigurationError: for a radius or a number out of range.

    Source: Croce and Hein 2020, sections 3 and 4.
    """

    eps: float
    steps: int = 100
    targets: int = 9
    seed: int = 0

    def __post_init__(self) -> None:
        check_eps("APGD-T", self.eps)
        check_count("APGD-T", "steps", self.steps)
        check_count("APGD-T", "targets", self.targets)

    @property
    def name(self) -> str:
        """Such as "APGD-T-100"."""
        return f"APGD-T-{self.steps}"

    def describe(self) -> dict[str, str | float | int]:
        """Return eps, norm, steps (a class), the first step as step_size, and start."""
        return {
            "eps": self.eps,
            "norm": "linf",
            "steps": self.steps,
            "step_size": 2 * self.eps,
            "start": f"{Uniform(self.eps)!r}, {self.targets} classes",
        }

    @property
    def stages(self) -> Sequence[Attack]:
        """One for each class that is aimed at, the likeliest first."""
        return [TowardsClass(self.eps, self.steps, rank, self.seed + rank - 1) for rank in range(1, self.targets + 1)]

    def __call__(self, model: nn.Module, batch: ImageBatch) -> Float[Tensor, "n c h w"]:
        """Return the first misclassified iterate, else the last class's iterate of the highest loss."""
        return in_turn(self.stages, model, batch)


@final
@dataclass(frozen=True)
class TowardsClass(Attack):
    """The part of `TargetedAPGD` that aims at one class: the ``rank``-th likeliest wrong one for the clean image.

    Where there are fewer wrong classes it returns the clean images.

    Args:
        eps: the ball's radius, for pixels in [0, 1].
        steps: how many steps.
        rank: from 1.
        seed: for the start.
    """

    eps: float
    steps: int
    rank: int
    seed: int

    @property
    def name(self) -> str:
        """Such as "APGD-T-100, class 2"."""
        return f"APGD-T-{self.steps}, class {self.rank}"

    def describe(self) -> dict[str, str | float | int]:
        """Return eps, norm and steps."""
        return {"eps": self.eps, "norm": "linf", "steps": self.steps}

    def __call__(self, model: nn.Module, batch: ImageBatch) -> Float[Tensor, "n c h w"]:
        """Return the first misclassified iterate, else the one of the highest loss.

        Raises:
            TaskError: if the model tells fewer than four classes apart, for which the loss is not defined.
        """
        with undisturbed(model, device=batch.x.device, seed=self.seed):
            logits = logits_of(model, batch.x)
            classes = logits.shape[1]
            if classes < 4:
                raise TaskError(f"APGD-T needs at least 4 classes, its loss has four logits; there are {classes}.")
            if self.rank >= classes:
                return batch.x
            # The label comes last, so that it is never aimed at.
            order = logits.scatter(1, batch.y.long().unsqueeze(1), float("-inf")).argsort(1, descending=True)
            aim = order[:, self.rank - 1]
            start = Uniform(self.eps)
            return climb(model, batch, aim, targeted_dlr, eps=self.eps, steps=self.steps, start=start)
