"""What moves the discriminator, by name: rules that are written by hand and rules that learn."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import final

from torch import optim

from bilevel.errors import ConfigurationError
from bilevel.rule_loss import RuleLoss
from bilevel.rules import Guarded, Rule
from tasks.gail.discriminator import Discriminator
from tasks.gail.learned_updaters import LEARNED
from tasks.gail.updater import Updater
from tasks.gail.written_updaters import WRITTEN
from tasks.names import look_up

UPDATERS: dict[str, Updater] = WRITTEN | LEARNED
"""All updaters by name."""


@final
@dataclass(frozen=True)
class UpdaterSettings:
    """How the discriminator's weights are moved.

    Args:
        name: which updater: adam, sgd, momentum, adamw, adamax, adagrad, adadelta, radam, rmsprop; or one that learns:
            coordinate-wise, lstm, per-layer, low-rank, paper, paper-factored (all of them corrections of a gradient
            step), paper-proximal, paper-literal (the network alone).
        rate: the size of a hand-written rule's steps; of a learned one's Adam. ``None`` is the updater's own.
        step: α of the gradient step that a learned updater corrects.
        limit: c, the largest correction of a weight.
        proximal: λ, the price on the steps that a learned updater makes; 0 for none.
        hidden: units of a learned updater's hidden layers; ``None`` is the updater's own.
        rank: r of low-rank.
        bound: the largest norm of the discriminator's weights; beyond it the updater is said to diverge.
        unroll: how many updates a move has, for the memory that training takes.

    Raises:
        ConfigurationError: for an unknown name, listing the known ones, or a number out of its range.
    """

    name: str = "adam"
    rate: float | None = None
    step: float = 0.5
    limit: float = 0.02
    proximal: float = 1.0
    hidden: tuple[int, ...] | None = None
    rank: int = 16
    bound: float = 1e3
    unroll: int = 1

    def __post_init__(self) -> None:
        look_up(UPDATERS, self.name, "updater")
        for what in ("rate", "step", "limit", "rank", "bound"):
            value = getattr(self, what)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ConfigurationError(f"The updater's {what} must be a finite number above 0, got {value}.")
        if not (self.proximal >= 0 and math.isfinite(self.proximal)):
            raise ConfigurationError(f"The updater's proximal price must be at least 0, got {self.proximal}.")
        if self.hidden is not None and (not self.hidden or min(self.hidden) < 1):
            raise ConfigurationError(f"The updater's hidden layers must have units, got {list(self.hidden)}.")

    @property
    def learns(self) -> bool:
        """Whether the updater is one that learns."""
        return self.name in LEARNED

    @property
    def base(self) -> UpdaterSettings:
        """The control without the learned part: the gradient step of size ``step`` alone."""
        return replace(self, name="sgd", rate=self.step)


@final
@dataclass(frozen=True)
class Moving:
    """What `bilevel.Solver` is to be given.

    Attributes:
        rule: how the discriminator's weights move; it stops with a `bilevel.DivergenceError` that names the updater
            before they are beyond the bound.
        rule_optimizer: what trains it; ``None`` for a rule written by hand.
        rule_loss: what it is trained for; ``None`` likewise.
    """

    rule: Rule
    rule_optimizer: optim.Optimizer | None
    rule_loss: RuleLoss | None


def moving(settings: UpdaterSettings, discriminator: Discriminator, *, name: str | None = None) -> Moving:
    """Return the rule that ``settings`` ask for, with its optimizer and its loss.

    The first values of a learned rule come from torch's generator.

    Args:
        settings: the rule's.
        discriminator: whose weights it moves.
        name: what it is called if it diverges; by default the updater's name.

    Raises:
        ConfigurationError: if there is not enough memory for it, with the size and the smaller choices.
    """
    updater = UPDATERS[settings.name]
    updater.check(settings, discriminator)
    rule = updater.rule(settings, discriminator)
    optimizer, loss = updater.training(rule, settings, discriminator)
    return Moving(Guarded(rule, limit=settings.bound, name=name or settings.name), optimizer, loss)
