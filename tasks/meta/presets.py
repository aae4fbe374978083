"""Configurations by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from tasks.meta.config import MetaConfig
from tasks.meta.data import QUADRATICS

DIGITS: Final = MetaConfig(windows=500)
"""A small perceptron on scikit-learn's digits: minutes."""

MNIST: Final = MetaConfig(data="mnist")
"""The 20 ReLU units of Serban et al. 2020 on MNIST, with 200 episodes of 100 updates."""

CIFAR: Final = MetaConfig(
    data="cifar10", model="convolutional", hidden=(32,), groups=("convolutions*", "*"), horizon=200, first_horizon=100
)
"""The three convolutions of the paper on CIFAR-10, a rule for them and another for the linear layers."""

_PAPER: Final[dict[str, Any]] = {"shown": "judged", "weight_input": 0.0, "rate": 1e-3, "ramp": 0.0, "growth": 0.0}
# What the paper says: the rule is shown what it is judged by, and the gradient alone; Adam at 0.001; no curriculum.

PRESETS: Final[dict[str, MetaConfig]] = {
    "digits": DIGITS,
    "mnist": MNIST,
    "cifar10": CIFAR,
    "mnist-paper": replace(MNIST, **_PAPER),
    "cifar10-paper": replace(CIFAR, **_PAPER, horizon=1000, first_horizon=None),
    "logistic": replace(MNIST, model="logistic"),
    "quadratics": MetaConfig(data=QUADRATICS, alpha=1.0, ramp=0.0, weight_input=0.0, update_scale=0.1),
}
"""Configurations by name."""

DEFAULT: Final = "digits"
"""The preset that the command line begins with."""
