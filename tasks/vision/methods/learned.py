"""Training against a learned attacker: learning to defend by learning to attack (L2L)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import final

import torch
from torch import nn, optim

from bilevel.errors import ConfigurationError
from bilevel.learned import Convolutional, Direction, Input, Iterate, Preprocess, SampleRMS, Small
from bilevel.play import Play, Simultaneous
from bilevel.rule_loss import LastAnswer, RuleLoss
from bilevel.rules import Rule, SignGradient, Sum
from bilevel.solver import Solver
from bilevel.starts import Center, Start, Uniform
from tasks.vision.attacks import Attack
from tasks.vision.data import ImageBatch
from tasks.vision.games import Game, Robust, Terms
from tasks.vision.methods.base import Method
from tasks.vision.methods.own_attack import OwnAttack
from tasks.vision.norm_modes import EvalModeNorm, NormMode
from tasks.vision.warm_start import WarmStart

ADAM = partial(torch.optim.Adam, lr=1e-3, betas=(0.9, 0.999), weight_decay=2e-4)
"""The optimizer of the attacker in Jiang et al. 2021, section 4."""


@final
@dataclass(frozen=True)
class L2L(Method):
    r"""A convolutional attacker g is trained against the classifier, and the classifier against it.

    $$z_{t+1} = \Pi\big(z_t + s\,\epsilon \tanh g_\phi(\text{inputs}(z_t))\big), \qquad
    \min_\theta \max_\phi \ \mathrm{CE}(f_\theta(z_K), y)$$

    What the attacker sees names the variants: the image (naive), the image and its gradient (grad), the gradient
    alone (grad-only); with K = 2 each step is taken by the same network (2-step). The image is differentiated through
    and the gradient is a constant, so that φ is trained by first-order back-propagation through the steps.

    The iterate is projected after every step. (The authors' 2-step code adds the two updates before it
    projects the sum onto the ball, which differs only where the first was cut off at 0 or 1.)

    The formula is that of the zero-sum game of `Robust`. In another game the leader lowers its own loss and g lowers
    the follower's.

    Raises:
        ConfigurationError: if ``steps`` or ``scale`` is out of range.

    Source: Jiang et al. 2021, section 3, Eq. 7 and Algorithm 3.
    """

    game: Game = Robust()  # noqa: RUF009 (frozen)
    """What the two play for. The attacker sees the gradient of its own loss in it, with the sign of its descent."""

    inputs: tuple[Input, ...] = (Iterate(), Direction(SampleRMS()))
    """What the attacker sees. Each image's gradient has a scale of its own, which falls as the classifier grows sure;
    by default it is divided out, image by image."""

    steps: int = 1
    """K, at least 1."""

    network: Callable[[int, int], nn.Module] = Small(width=16)  # noqa: RUF009 (frozen)
    """What builds the attacker's network, from the numbers of channels that enter and leave it."""

    scale: float = 1.0
    """s, the largest change of a pixel in one step, in multiples of ε; positive."""

    start: Start = Center()  # noqa: RUF009 (frozen)
    """Where the attack begins, its distances in multiples of ε."""

    base: float | None = None
    """The length, in multiples of ε, of a step along the gradient's sign to which the network's output is added; None:
    the output alone."""

    warm: float | None = None
    """The push of a `WarmStart`, with which each attack begins where the last on the same image ended; None: it begins
    at ``start``."""

    norm: NormMode = EvalModeNorm()  # noqa: RUF009 (frozen)
    """The batch-norm mode of the classifier in the attack's passes."""

    play: Play = Simultaneous()  # noqa: RUF009 (frozen)
    """Who moves when. In simultaneous play one backward pass serves both players."""

    rule_loss: RuleLoss = LastAnswer()  # noqa: RUF009 (frozen)
    """What the attacker is trained for."""

    optimizer: Callable[[Iterable[nn.Parameter]], optim.Optimizer] = ADAM
    """What trains the attacker, called with its parameters; the default is the paper's."""

    def __post_init__(self) -> None:
        if self.steps < 1 or not (math.isfinite(self.scale) and self.scale > 0):
            raise ConfigurationError(
                f"A learned attacker takes at least 1 step, of a scale above 0; got {self.steps} steps of "
                f"{self.scale} times eps."
            )

    def rule(self, eps: float, channels: int) -> Convolutional | Sum:
        """Return a new attacker of images with ``channels`` channels at radius ``eps``."""
        learned = Convolutional(channels, self.network, scale=self.scale * eps, inputs=self.inputs)
        return learned if self.base is None else Sum(SignGradient(self.base * eps), learned)

    def solver(
        self, model: nn.Module, *, eps: float, channels: int, samples: int, leader_optimizer: optim.Optimizer
    ) -> Solver[ImageBatch]:
        """Return the solver, with a new attacker."""
        beginning = None if self.warm is None else WarmStart(samples, self.warm)
        task = self.game.task(model, Terms(eps, self.start.scaled(eps), self.norm, beginning))
        place = next(model.parameters())
        rule = self.rule(eps, channels).to(place.device, place.dtype)
        return Solver(
            task,
            rule,
            steps=self.steps,
            leader_optimizer=leader_optimizer,
            rule_optimizer=self.optimizer(rule.parameters()),
            play=self.play,
            rule_loss=self.rule_loss,
        )

    def own_attack(self, rule: Rule, eps: float, label: str = "own attacker") -> Attack:
        """Return the attacker as an attack, in its game."""
        # On images that it never saw, a warm attacker begins as at a first visit.
        start = self.start.scaled(eps) if self.warm is None else Uniform(eps)
        return OwnAttack(rule, eps, self.game, self.steps, start, label)


def with_preprocess(inputs: Sequence[Input], preprocess: Preprocess) -> tuple[Input, ...]:
    """Return ``inputs`` with every direction among them preprocessed by ``preprocess``."""
    return tuple(replace(one, preprocess=preprocess) if isinstance(one, Direction) else one for one in inputs)
