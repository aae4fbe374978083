"""The configuration of an adversarial training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from bilevel.errors import ConfigurationError
from tasks.names import look_up
from tasks.settings import check_types
from tasks.vision.config.attacker import AttackerSettings
from tasks.vision.config.classifier import ClassifierSettings
from tasks.vision.config.data import DataSettings
from tasks.vision.config.group import check_groups
from tasks.vision.config.hand_written import HandWrittenSettings
from tasks.vision.config.machine import MachineSettings
from tasks.vision.config.optimization import OptimizationSettings
from tasks.vision.methods import METHODS


@final
@dataclass(frozen=True)
class DROConfig(
    MachineSettings,
    AttackerSettings,
    HandWrittenSettings,
    OptimizationSettings,
    ClassifierSettings,
    DataSettings,
):
    """Train a classifier that withstands perturbed images.

    Lengths of attacks are in multiples of eps, so that they go with it.

    Raises:
        ConfigurationError: for a value out of range or an unknown name, listing the known ones.
    """

    method: str = "grad-l2l"
    """What the training images are perturbed by: plain (nothing), fgsm, fgsm-rs (random start), warm-fgsm (start
    where the last attack on the image ended), pgm, or a learned attacker: naive-l2l, grad-l2l, grad-only-l2l,
    2-step-l2l, 2-step-grad-only-l2l, k-step-l2l, warm-l2l."""

    eps: float = 0.2
    """The largest change of a pixel, in units of the pixel range [0, 1]."""

    reach: float = 1.0
    """The radius while training, in multiples of eps: a classifier that learns from somewhat larger perturbations may
    withstand those of eps better."""

    warm: float = 0.5
    """With warm-fgsm and warm-l2l, whose attacks begin where the last on the same image ended: the length of the step
    along the sign of the gradient there, in multiples of eps."""

    def __post_init__(self) -> None:
        check_types(self)
        check_groups(self)

    def check(self) -> None:
        """Raise `ConfigurationError` for an unknown method or a radius out of range."""
        look_up(METHODS, self.method, "method")
        self.check_positive("eps", "reach")
        self.check_not_negative("warm")
        if self.eps > 1:
            raise ConfigurationError(
                f"eps is in units of the pixel range [0, 1], got {self.eps}: 8 grey levels out of 255 are 0.0314."
            )
