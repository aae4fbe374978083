"""What an updater of the discriminator is."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

from torch import optim

from bilevel.rule_loss import RuleLoss
from bilevel.rules import Rule
from tasks.gail.discriminator import Discriminator

if TYPE_CHECKING:
    from tasks.gail.updaters import UpdaterSettings


class Updater(abc.ABC):
    """A kind of rule for the discriminator's weights, and how it is trained if it learns."""

    @property
    def unrolls(self) -> bool:
        """Whether a move may be several of its updates; by default it may."""
        return True

    @abc.abstractmethod
    def rule(self, settings: UpdaterSettings, discriminator: Discriminator) -> Rule:
        """Return a new rule."""

    def training(
        self, rule: Rule, settings: UpdaterSettings, discriminator: Discriminator
    ) -> tuple[optim.Optimizer | None, RuleLoss | None]:
        """Return the optimizer and the loss of a rule that learns; by default it does not."""
        return None, None

    def check(self, settings: UpdaterSettings, discriminator: Discriminator) -> None:
        """Raise `bilevel.ConfigurationError` if the rule could not be built; by default it can."""
        return
