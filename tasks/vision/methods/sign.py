"""Training against the sign-gradient attacks, FGSM and PGM."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from torch import nn, optim

from bilevel.errors import ConfigurationError
from bilevel.rules import SignGradient
from bilevel.solver import Solver
from bilevel.starts import Center, Start
from tasks.vision.data import ImageBatch
from tasks.vision.games import Game, Robust, Terms
from tasks.vision.methods.base import Method
from tasks.vision.norm_modes import EvalModeNorm, NormMode
from tasks.vision.warm_start import WarmStart


@final
@dataclass(frozen=True)
class SignSteps(Method):
    r"""k projected steps along the sign of the gradient.

    $$z_{t+1} = \Pi\big(z_t + \eta\,\epsilon \, \mathrm{sign} \nabla_z \mathrm{CE}(f_\theta(z_t), y)\big)$$

    One step of η = 1 from the clean images is FGSM (Goodfellow et al. 2015), one longer step from a random start is
    FGSM-RS (Wong et al. 2020), several are PGM or PGD (Madry et al. 2018; Jiang et al. 2021, Eq. 4). A step of the
    training takes k passes for the input's gradient and one for the weights'.

    The formula is that of the zero-sum game of `Robust`. In another game the steps lower the follower's loss: in
    `Trades` this is TRADES, in `Interpolation` adversarial interpolation training.

    Raises:
        ConfigurationError: if ``steps`` or ``step`` is out of range.
    """

    game: Game = Robust()  # noqa: RUF009 (frozen)
    """What the two play for."""

    steps: int = 10
    """k, at least 1."""

    step: float = 0.25
    """η, the length of a step in multiples of ε; positive."""

    start: Start = Center()  # noqa: RUF009 (frozen)
    """Where the attack begins, its distances in multiples of ε."""

    norm: NormMode = EvalModeNorm()  # noqa: RUF009 (frozen)
    """The batch-norm mode of the attack's passes."""

    warm: float | None = None
    """The push of a `WarmStart`, with which each attack begins where the last on the same image ended; None: it begins
    at ``start``."""

    def __post_init__(self) -> None:
        if self.steps < 1 or not (math.isfinite(self.step) and self.step > 0):
            raise ConfigurationError(
                f"A sign-gradient attack takes at least 1 step of a length above 0, got {self.steps} steps of "
                f"{self.step} times eps. To train without perturbations, use the method plain."
            )

    def solver(
        self,
        model: nn.Module,
        *,
        eps: float,
        channels: int,
        samples: int,
        leader_optimizer: optim.Optimizer,
    ) -> Solver[ImageBatch]:
        """Return the solver."""
        beginning = None if self.warm is None else WarmStart(samples, self.warm)
        task = self.game.task(model, Terms(eps, self.start.scaled(eps), self.norm, beginning))
        return Solver(task, SignGradient(self.step * eps), steps=self.steps, leader_optimizer=leader_optimizer)
