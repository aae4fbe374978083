"""The learned attacker as a teacher of the classifier."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, final

from torch import nn, optim

from bilevel.counts import check_count
from bilevel.errors import ConfigurationError
from bilevel.play import Teaching
from bilevel.rules import Rule, SignGradient
from bilevel.solver import Solver
from bilevel.starts import Uniform
from tasks.vision.attacks import Attack
from tasks.vision.data import ImageBatch
from tasks.vision.methods.base import Method
from tasks.vision.methods.learned import L2L


def halves(batch: ImageBatch) -> tuple[ImageBatch, ImageBatch]:
    """Return the first and the second half of a batch; one of less than 4 images, the last of a set, is both."""
    middle = len(batch.y) // 2
    if middle < 2:  # batch norm cannot take statistics of a single image
        return batch, batch
    parts = ((None, None) if part is None else (part[:middle], part[middle:]) for part in batch)
    first, second = zip(*parts, strict=True)
    return ImageBatch(*first), ImageBatch(*second)


@final
@dataclass(frozen=True)
class Teacher(Method):
    r"""The classifier learns from a learned attacker's images, and the attacker learns to make it robust by them.

    $$w(\phi) = \theta - \alpha \nabla_\theta \mathrm{CE}(f_\theta(g_\phi(x)), y), \qquad
    \min_\phi \ \max_{z'} \ \mathrm{CE}(f_{w(\phi)}(z'), y')$$

    Where `L2L` trains φ to raise the loss of the moment, here it lowers the loss of the classifier *after* a step on
    its images, at other images that an attack by hand has perturbed (`bilevel.Teaching`). Between lessons a step takes
    as many passes as one of `L2L` in simultaneous play.

    Raises:
        ConfigurationError: if a number is out of range.

    Source: the aim is that of LAS-AT (Jia et al. 2022), which takes policy gradients.
    """

    attacker: L2L = L2L(start=Uniform(1.0), base=1.25, scale=0.25)  # noqa: RUF009 (frozen)
    """The attacker, the game and the attack; its own play and loss are not used. By default it corrects a step by hand
    (FGSM-RS): a new network hardly perturbs, and a teacher has few lessons in which to find that it should."""

    every: int = 10
    """A lesson before every so many steps, at least 1."""

    exam_steps: int = 3
    """How many steps the attack of the exam takes along the gradient's sign, at least 1."""

    exam_step: float = 0.5
    """The length of such a step, in multiples of ε; positive."""

    pupil_steps: int = 1
    """How many steps of descent the pupil takes on the same images, at least 1."""

    split: Callable[[Any], tuple[Any, Any]] = halves
    """What makes of a batch the images to learn from and those of the exam."""

    def __post_init__(self) -> None:
        for name in ("every", "exam_steps", "pupil_steps"):
            check_count(f"Teacher's {name}", getattr(self, name))
        if not (math.isfinite(self.exam_step) and self.exam_step > 0):
            raise ConfigurationError(
                f"Teacher's exam_step, in multiples of eps, must be finite and above 0, got {self.exam_step}."
            )

    def solver(
        self, model: nn.Module, *, eps: float, channels: int, samples: int, leader_optimizer: optim.Optimizer
    ) -> Solver[ImageBatch]:
        """Return the solver, with a new attacker."""
        play = Teaching(
            SignGradient(self.exam_step * eps),
            examiner_steps=self.exam_steps,
            every=self.every,
            pupil_steps=self.pupil_steps,
            split=self.split,
        )
        return replace(self.attacker, play=play).solver(
            model, eps=eps, channels=channels, samples=samples, leader_optimizer=leader_optimizer
        )

    def own_attack(self, rule: Rule, eps: float, label: str = "own attacker") -> Attack:
        """Return the attack of the teacher, which it was not trained to be."""
        return self.attacker.own_attack(rule, eps, label)
