"""How the classifier's learning rate goes over a training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

Shape: TypeAlias = Callable[[float], float]
"""The factor of the learning rate after a number of epochs, which need not be whole."""


def cosine(epochs: int) -> Shape:
    r"""Return $\frac12 (1 + \cos(\pi t / T))$: from 1 to 0 over T epochs (Loshchilov and Hutter 2017, Eq. 5)."""
    return lambda epoch: 0.5 * (1 + math.cos(math.pi * min(1.0, epoch / epochs)))


def steps(milestones: Sequence[int], decay: float) -> Shape:
    """Return the factor that is multiplied by ``decay`` after each of ``milestones``, in epochs."""
    return lambda epoch: decay ** sum(epoch >= milestone for milestone in milestones)


def cyclic(epochs: int, peak: float) -> Shape:
    r"""Return the triangle from 0 up to 1 at $t = pT$ and down to 0 at T epochs.

    $$f(t) = \min\Big(\frac{t}{pT}, \frac{T - t}{(1 - p)T}\Big)$$

    Args:
        epochs: T.
        peak: p, the share of the training after which the rate is the highest, in (0, 1).

    Source: Smith 2017; with p = 1/2 the schedule of fast adversarial training (Wong et al. 2020).
    """
    top = peak * epochs
    return lambda epoch: max(0.0, min(epoch / top, (epochs - epoch) / (epochs - top)))


def constant() -> Shape:
    """Return the factor 1."""
    return lambda _epoch: 1.0


def scheduler(optimizer: Optimizer, shape: Shape, *, epochs: int, steps_per_epoch: int, warmup: float) -> LambdaLR:
    r"""Return the scheduler that follows ``shape``, stepping once a step, after a linear warm-up.

    $$\alpha_s = \alpha \, f(s / S) \, \min\big(1, (s + 1) / (w\,T\,S)\big)$$

    for step s (from 0), S steps an epoch and T epochs. Adversarial training from the first step on, at the full rate,
    may never leave a constant prediction.

    Args:
        optimizer: whose rates are scaled.
        shape: f.
        epochs: T.
        steps_per_epoch: S.
        warmup: w, the share of the training in which the rate rises; 0 for none.
    """
    rise = max(1.0, warmup * epochs * steps_per_epoch)
    return LambdaLR(optimizer, lambda step: shape(step / steps_per_epoch) * min(1.0, (step + 1) / rise))
