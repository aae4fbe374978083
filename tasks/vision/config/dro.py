"""The configuration of an adversarial training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

from bilevel.errors import ConfigurationError
from tasks.names import look_up
from tasks.vision.config.attacker import AttackerSettings
from tasks.vision.config.hand_written import HandWrittenSettings
from tasks.vision.config.teacher import TeacherSettings
from tasks.vision.config.vision import VisionConfig
from tasks.vision.methods import L2L, METHODS, Method, SignSteps, Stability, Teacher


@final
@dataclass(frozen=True)
class DROConfig(TeacherSettings, AttackerSettings, HandWrittenSettings, VisionConfig):
    """Train a classifier that withstands perturbed images.

    Lengths of attacks are in multiples of eps, so that they go with it.

    Raises:
        ConfigurationError: for a value out of range or an unknown name, listing the known ones.
    """

    method: str = "grad-l2l"
    """What the training images are perturbed by: plain (nothing), stability (noise), fgsm, fgsm-rs (random start),
    warm-fgsm (start where the last attack on the image ended), pgm, trades (as pgm, for agreement with the clean
    image), or a learned attacker: naive-l2l, grad-l2l, grad-only-l2l, 2-step-l2l, 2-step-grad-only-l2l, k-step-l2l,
    warm-l2l, teacher-l2l (an attacker that learns to make the classifier robust, not to mislead it)."""

    warm: float = 0.5
    """With warm-fgsm and warm-l2l, whose attacks begin where the last on the same image ended: the length of the step
    along the sign of the gradient there, in multiples of eps."""

    @property
    def task(self) -> str:
        """``dro``."""
        return "dro"

    @property
    def label(self) -> str:
        """The method's name, with its number of steps."""
        numbered = {
            "pgm": f"pgm-{self.pgm_steps}",
            "trades": f"trades-{self.pgm_steps}",
            "k-step-l2l": self.k_step_label,
        }
        return numbered.get(self.method, self.method)

    def make_method(self) -> Method:
        """Return the method."""
        method = METHODS[self.method]
        if isinstance(method, L2L | SignSteps) and method.warm is not None:
            method = replace(method, warm=self.warm)
        if isinstance(method, Teacher):
            return self.teaching(method, self.equipped(method.attacker, own_steps=False))
        if isinstance(method, L2L):
            return self.equipped(method, own_steps=self.method == "k-step-l2l")
        if isinstance(method, SignSteps):
            return self.by_hand(method, own_steps=self.method in {"pgm", "trades"})
        return self.noisy(method) if isinstance(method, Stability) else method

    def check(self) -> None:
        """Raise `ConfigurationError` for an unknown method, a push out of range or what does not go together."""
        if isinstance(look_up(METHODS, self.method, "method"), Teacher) and self.compile:
            raise ConfigurationError(
                f"{self.method} differentiates the classifier's step once more, which a compiled classifier does not "
                "allow: leave compile off."
            )
        self.check_not_negative("warm")
