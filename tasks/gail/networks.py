"""The networks of the updaters that learn, from one for single weights to the paper's for all of them at once."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import torch

from bilevel.errors import ConfigurationError
from bilevel.learned import LSTM, MLP, Direction, Grouped, Iterate, LogSign, LowRank
from bilevel.rules.module import ModuleRule
from tasks.gail.discriminator import Discriminator

if TYPE_CHECKING:
    from tasks.gail.updaters import UpdaterSettings


class Network(abc.ABC):
    """Makes a learned rule for the weights of a discriminator."""

    @abc.abstractmethod
    def make(self, settings: UpdaterSettings, discriminator: Discriminator, *, zero_last: bool) -> ModuleRule:
        """Return a new rule, whose first update is zero if ``zero_last``."""

    @abc.abstractmethod
    def rate(self, discriminator: Discriminator) -> float:
        """Return the usual rate of Adam for its parameters."""

    def parameters(self, settings: UpdaterSettings, discriminator: Discriminator) -> int:
        """Return how many parameters the rule has; it is not built for that."""
        with torch.device("meta"):
            return sum(p.numel() for p in self.make(settings, discriminator, zero_last=False).parameters())


@final
@dataclass(frozen=True)
class CoordinateWise(Network):
    """One small perceptron for each weight, which sees the weight and its gradient's size and sign."""

    def make(self, settings: UpdaterSettings, discriminator: Discriminator, *, zero_last: bool) -> ModuleRule:
        """Return the rule; by default with two hidden layers of 32."""
        inputs = (Iterate(), Direction(LogSign()))
        return MLP(1, settings.hidden or (32, 32), inputs=inputs, zero_last=zero_last)

    def rate(self, discriminator: Discriminator) -> float:
        """Return 1e-3."""
        return 1e-3


@final
@dataclass(frozen=True)
class Recurrent(Network):
    """The same with a memory for each weight: an LSTM."""

    def make(self, settings: UpdaterSettings, discriminator: Discriminator, *, zero_last: bool) -> ModuleRule:
        """Return the rule; by default with two layers of 20.

        Raises:
            ConfigurationError: if its layers are to be of different sizes.
        """
        sizes = settings.hidden or (20, 20)
        if len(set(sizes)) > 1:
            raise ConfigurationError(f"The layers of the updater lstm must be of one size, got {list(sizes)}.")
        return LSTM(sizes[0], len(sizes), inputs=(Iterate(), Direction(LogSign())), zero_last=zero_last)

    def rate(self, discriminator: Discriminator) -> float:
        """Return 1e-3."""
        return 1e-3


@final
@dataclass(frozen=True)
class PerLayer(Network):
    """A perceptron for each tensor of the weights, which sees the tensor and its gradient as a whole."""

    def make(self, settings: UpdaterSettings, discriminator: Discriminator, *, zero_last: bool) -> ModuleRule:
        """Return the rule; by default with hidden layers of 64 and 64: the paper's grow with the square of a tensor."""
        hidden = settings.hidden or (64, 64)
        sizes = {name: math.prod(shape) for name, shape in discriminator.shapes.items()}
        return Grouped({name: MLP(size, hidden, zero_last=zero_last) for name, size in sizes.items()})

    def rate(self, discriminator: Discriminator) -> float:
        """Return 1e-4."""
        return 1e-4


@final
@dataclass(frozen=True)
class Projected(Network):
    """The paper's perceptron on a few combinations of all weights."""

    def make(self, settings: UpdaterSettings, discriminator: Discriminator, *, zero_last: bool) -> ModuleRule:
        """Return the rule; by default with hidden layers of 8r and 4r."""
        rank, size = settings.rank, discriminator.size
        return LowRank(MLP(rank, settings.hidden), size=size, rank=rank, zero_last=zero_last)

    def rate(self, discriminator: Discriminator) -> float:
        """Return 1e-4."""
        return 1e-4


@final
@dataclass(frozen=True)
class AllAtOnce(Network):
    """The paper's perceptron, which sees all m weights and their gradient: 2m → 8m → 4m → m.

    Source: Jiang et al., ICLR 2020 submission, appendix C.2.
    """

    def make(self, settings: UpdaterSettings, discriminator: Discriminator, *, zero_last: bool) -> ModuleRule:
        """Return the rule; by default with hidden layers of 8m and 4m, 52 m² + 13 m + 2 parameters."""
        return MLP(discriminator.size, settings.hidden, zero_last=zero_last)

    def rate(self, discriminator: Discriminator) -> float:
        """Return the rate at which a step changes an output by some 0.02: 1e-5 for m = 257, 1e-6 for m = 2,561."""
        return 0.02 / (8 * discriminator.size)
