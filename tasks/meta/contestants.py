"""Who trains new networks side by side: rules that learned to, and optimizers at their best rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, final

from torch import nn, optim

from bilevel.learned import RuleOptimizer
from bilevel.rules.module import ModuleRule
from tasks.meta.config import MetaConfig
from tasks.meta.mixture import CLEAN, Mixture
from tasks.meta.transfer import MakeOptimizer

ADAM_RATES: Final = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
MOMENTUM_RATES: Final = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
"""The rates of which the best are chosen, on validation images and with networks that are not reported."""

L2L: Final = "L2L"
TRANSFER: Final = "L2L-Transfer"
BILEVEL: Final = "L2L-Transfer, bilevel"
NOT: Final = "Transfer-NOT"
NOT_ADVERSARIAL: Final = "Transfer-NOT, adversarial data"
"""The learned methods. L2L and L2L-Transfer are a rule that was shown what it was judged by, as the paper's, on
adversarial and on clean data; the bilevel one was shown clean gradients while it learned and judged by adversarial
images; Transfer-NOT learned on clean images alone."""


@final
@dataclass(frozen=True)
class Contestant:
    """A way to train a network.

    Attributes:
        name: the method's name.
        kind: learned or hand-written.
        mixture: the loss whose gradient it gets.
        make: makes its optimizer.
        rate: its learning rate, if it has one.
    """

    name: str
    kind: str
    mixture: Mixture
    make: MakeOptimizer
    rate: float | None = None


@final
@dataclass(frozen=True)
class Rival:
    """A hand-written optimizer, of which the best rate is to be chosen.

    Attributes:
        name: what it is called.
        mixture: the loss whose gradient it gets.
        make: returns an optimizer of a network at a rate.
        rates: from which to choose.
        by: by which losses on validation images, each of which gives a contestant.
    """

    name: str
    mixture: Mixture
    make: Callable[[nn.Module, float], optim.Optimizer]
    rates: Sequence[float]
    by: Sequence[str]

    def at(self, rate: float, by: str) -> Contestant:
        """Return the contestant with a rate that was chosen by a loss."""
        words = {"clean_loss": "best clean", "adversarial_loss": "best adversarial"}[by]
        return Contestant(f"{self.name} ({words})", "hand-written", self.mixture, partial(_at, self.make, rate), rate)


def method_of(config: MetaConfig) -> str:
    """Return the name of the method that trains new networks by the rule of a configuration, on clean images."""
    if config.alpha == 1:
        return NOT
    return TRANSFER if config.shown == "judged" else BILEVEL


def rivals(judged: Mixture) -> list[Rival]:
    """Return the optimizers that rules are compared with.

    Args:
        judged: what networks are to be good at; with α = 1 there is no adversarial image.
    """
    both = ("clean_loss", "adversarial_loss") if judged.alpha < 1 else ("clean_loss",)
    found = [Rival("Adam", CLEAN, _adam, ADAM_RATES, both), Rival("Momentum", CLEAN, _momentum, MOMENTUM_RATES, both)]
    if judged.alpha < 1:
        found.append(Rival("Adam on adversarial data", judged, _adam, ADAM_RATES, ("adversarial_loss",)))
    return found


def learned(rules: Mapping[str, ModuleRule], judged: Mixture) -> list[Contestant]:
    """Return the learned methods that ``rules``, by the names of methods, allow.

    Args:
        rules: L2L-Transfer's rule serves L2L too, and Transfer-NOT's its form on adversarial data.
        judged: the loss of those that are given adversarial data.
    """
    found = []
    on_both = {TRANSFER: L2L, NOT: NOT_ADVERSARIAL} if judged.alpha < 1 else {}
    for name, rule in rules.items():
        make = partial(_rule, rule)
        if name in on_both:
            found.append(Contestant(on_both[name], "learned", judged, make))
        found.append(Contestant(name, "learned", CLEAN, make))
    return found


def _at(make: Callable[[nn.Module, float], optim.Optimizer], rate: float, network: nn.Module) -> optim.Optimizer:
    return make(network, rate)


def _rule(rule: ModuleRule, network: nn.Module) -> optim.Optimizer:
    return RuleOptimizer(network, rule)


def _adam(network: nn.Module, rate: float) -> optim.Optimizer:
    return optim.Adam(network.parameters(), lr=rate)


def _momentum(network: nn.Module, rate: float) -> optim.Optimizer:
    return optim.SGD(network.parameters(), lr=rate, momentum=0.9)
