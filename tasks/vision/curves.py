"""Robust accuracy against the radius and against the number of iterations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, final

from torch import nn

from bilevel.errors import ConfigurationError
from tasks.vision.attacks import PGM, Attack, pgm
from tasks.vision.attacks.walk import check_iterations
from tasks.vision.data import Images
from tasks.vision.evaluation import evaluate
from tasks.vision.examination import Examination, Progress
from tasks.vision.journal import Journal


@final
@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A point of a curve; `dataclasses.asdict` gives a flat record.

    Attributes:
        curve: what runs along the axis.
        x: the radius, for pixels in [0, 1], or the number of iterations.
        robust: accuracy in [0, 1] there.
        n: how many images.
        attack: the attack's name.
        eps: the radius, where it does not run along the axis.
    """

    curve: Literal["eps", "iterations"]
    x: float
    robust: float
    n: int
    attack: str
    eps: float | None = None


def accuracy_by_radius(
    model: nn.Module,
    images: Images,
    radii: Sequence[float],
    *,
    attack: Callable[[float], Attack] = pgm,
    batch_size: int = 500,
    progress: Progress | None = None,
    journal: Journal | None = None,
) -> list[CurvePoint]:
    """Return the robust accuracy at each of ``radii`` (Jiang et al. 2021, Fig. 3, left).

    The radii are attacked independently, so that the curve can tell something: it must not rise, and where the ball
    holds every image it must come down to about 0. Otherwise the attack fails, mostly for want of gradients.

    Args:
        model: the classifier.
        images: the images and labels.
        radii: in [0, 1]; at 0 the accuracy is the clean one.
        attack: makes the attack for a radius; by default PGM-20 with steps in proportion to it.
        batch_size: as in `evaluate`.
        progress: as in `evaluate`.
        journal: as in `evaluate`.

    Raises:
        ConfigurationError: for a radius outside [0, 1], no radius above 0, and what `evaluate` raises.
    """
    if not all(0 <= eps <= 1 and math.isfinite(eps) for eps in radii) or not any(radii):
        raise ConfigurationError(f"radii must lie in [0, 1], as pixels do, one at least above 0; got {list(radii)}.")
    attacks = [attack(eps) for eps in radii if eps > 0]
    results = evaluate(model, images, attacks, batch_size=batch_size, progress=progress, journal=journal)
    left = iter(results)
    accuracies = [next(left).robust if eps > 0 else results[0].clean for eps in radii]
    name = attacks[0].name
    return [
        CurvePoint("eps", float(eps), accuracy, len(images), name)
        for eps, accuracy in zip(radii, accuracies, strict=True)
    ]


def accuracy_by_iterations(
    model: nn.Module,
    images: Images,
    iterations: Sequence[int],
    *,
    attack: PGM,
    batch_size: int = 500,
    progress: Progress | None = None,
    journal: Journal | None = None,
) -> list[CurvePoint]:
    """Return the robust accuracy after each of ``iterations`` steps of one run (Jiang et al. 2021, Fig. 3, right).

    Args:
        model: the classifier.
        images: the images and labels.
        iterations: ascending numbers of steps; 0 is the attack's start.
        attack: gives radius, step, start and loss; its own number of steps is not used.
        batch_size: as in `evaluate`.
        progress: as in `evaluate`.
        journal: as in `evaluate`.

    Raises:
        ConfigurationError: if ``iterations`` does not ascend from 0 or more, and what `evaluate` raises.
    """
    check_iterations(iterations)
    examination = Examination(model, images, batch_size=batch_size, progress=progress, journal=journal)
    stands = examination.stands(
        attack.loss.label,
        lambda model, batch: attack.path(model, batch, iterations),
        versions=len(iterations),
        eps=attack.eps,
        identity=f"{attack.identity} at {list(iterations)}",
    )
    return [
        CurvePoint("iterations", float(count), accuracy, len(images), attack.loss.label, attack.eps)
        for count, accuracy in zip(iterations, examination.robust(stands), strict=True)
    ]
