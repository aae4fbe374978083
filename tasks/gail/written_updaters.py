"""The updaters that are written by hand: the library's own rules, and TorchOpt's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import torchopt

from bilevel.rules import Adam, Flattened, Gradient, Momentum, Rule
from tasks.gail.discriminator import Discriminator
from tasks.gail.updater import Updater

if TYPE_CHECKING:
    from tasks.gail.updaters import UpdaterSettings


@final
@dataclass(frozen=True)
class Written(Updater):
    """A rule with nothing to learn.

    Args:
        make: the rule of a rate.
        rate: the usual one.
    """

    make: Callable[[float], Rule]
    rate: float

    def rule(self, settings: UpdaterSettings, discriminator: Discriminator) -> Rule:
        """Return the rule of the chosen rate."""
        return self.make(self.rate if settings.rate is None else settings.rate)


def _of_torchopt(name: str) -> Callable[[float], Rule]:
    return lambda rate: Flattened(getattr(torchopt, name)(lr=rate))


WRITTEN: dict[str, Updater] = {
    "adam": Written(Adam, 0.01),
    "sgd": Written(Gradient, 0.5),
    "momentum": Written(Momentum, 0.05),
    **{name: Written(_of_torchopt(name), 0.01) for name in ("adamw", "adamax", "adagrad", "radam", "rmsprop")},
    "adadelta": Written(_of_torchopt("adadelta"), 1.0),
}
"""They by name. 0.01 is the rate of Adam in the code of Ho and Ermon 2016."""
