"""Cheap questions to the classifier itself, asked on every evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from bilevel.leader import frozen, parameters_of
from tasks.vision.attacks import AttackLoss, CrossEntropy, Margin, pgm
from tasks.vision.attacks.predict import logits_of
from tasks.vision.attacks.undisturbed import undisturbed
from tasks.vision.curves import accuracy_by_iterations, accuracy_by_radius
from tasks.vision.data import Images

FEW = 200
"""How many images are asked about."""

_MARGIN = Margin(confidence=1e30)  # without a bound, at which it would be flat

ITERATIONS = (0, 1, 2, 5, 10, 20, 40)


@final
@dataclass(frozen=True)
class Probe:
    """What came out.

    Attributes:
        n: the number of images asked about.
        zero_gradients: the share of them whose gradient of the cross-entropy is exactly zero in every pixel.
        zero_margin_gradients: the same of the margin loss, which does not fade where the classifier is sure.
        repeats: whether two passes over the same images gave the same logits.
        by_radius: (ε, robust) under PGM-20, up to the whole pixel range.
        by_iterations: (iterations, robust) under PGM at the radius.
    """

    n: int
    zero_gradients: float
    zero_margin_gradients: float
    repeats: bool
    by_radius: tuple[tuple[float, float], ...] = ()
    by_iterations: tuple[tuple[float, float], ...] = ()


def probe(model: nn.Module, images: Images, eps: float, *, curves: bool = True) -> Probe:
    """Ask a classifier about the first few images; it is left as it was found.

    Args:
        model: the classifier.
        images: the images and labels.
        eps: the radius.
        curves: whether the accuracy against radius and iterations is measured too, which takes most of the time.

    Returns:
        The answers.
    """
    parameter = next(model.parameters(), None)
    device = images.pixels.device if parameter is None else parameter.device
    few = images.subset(slice(0, FEW)).to(device)
    batch = few.batch()
    with undisturbed(model, device=device, seed=0), frozen(parameters_of(model)):
        repeats = torch.equal(logits_of(model, batch.x), logits_of(model, batch.x))
        zero = [_zero_gradients(model, batch.x, batch.y, loss) for loss in (CrossEntropy(), _MARGIN)]
    by_radius: tuple[tuple[float, float], ...] = ()
    by_iterations: tuple[tuple[float, float], ...] = ()
    if curves:
        radii = [*(r for r in (eps / 2, eps, 2 * eps) if r < 1), 1.0]
        by_radius = tuple((point.x, point.robust) for point in accuracy_by_radius(model, few, radii))
        marks = accuracy_by_iterations(model, few, ITERATIONS, attack=pgm(eps, ITERATIONS[-1]))
        by_iterations = tuple((point.x, point.robust) for point in marks)
    return Probe(len(few), zero[0], zero[1], repeats, by_radius, by_iterations)


def _zero_gradients(model: nn.Module, x: Tensor, y: Tensor, loss: AttackLoss) -> float:
    """Return the share of images whose gradient is zero; a classifier without a gradient has zeros throughout."""
    z = x.clone().requires_grad_()
    with torch.enable_grad():
        total = loss(model(z), y)
    if not total.requires_grad:
        return 1.0
    # Zeros, where nothing of the loss depends on the images.
    (gradient,) = torch.autograd.grad(total, z, allow_unused=True, materialize_grads=True)
    zero: Tensor = (gradient == 0).flatten(1).all(1)
    return int(zero.sum()) / len(x)
