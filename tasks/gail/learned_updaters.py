"""The updaters that learn: a network, how it moves the weights, and how it is trained."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

from torch import optim

from bilevel.learned import BoundedResidual, FactoredAdam, factored
from bilevel.memory import require_memory
from bilevel.rule_loss import LastAnswer, Proximal, RuleLoss
from bilevel.rules import Gradient
from bilevel.rules.module import ModuleRule
from tasks.gail.discriminator import Discriminator
from tasks.gail.networks import AllAtOnce, CoordinateWise, Network, PerLayer, Projected, Recurrent
from tasks.gail.updater import Updater

if TYPE_CHECKING:
    from tasks.gail.updaters import UpdaterSettings

_FLOAT: Final = 4  # bytes


class Training(abc.ABC):
    """How the parameters of a network are trained."""

    copies: ClassVar[int]
    """How many numbers it keeps a parameter, the parameter itself among them."""

    unrolls: ClassVar[bool] = True
    """Whether a rule that makes several updates a step can be trained so."""

    def prepare(self, rule: ModuleRule) -> None:
        """Change a new rule so that it can be trained in this way; by default it can."""
        return

    @abc.abstractmethod
    def optimizer(self, rule: ModuleRule, rate: float) -> optim.Optimizer:
        """Return the optimizer."""


@final
@dataclass(frozen=True)
class ByAdam(Training):
    """Adam, which keeps a gradient and two moments of each parameter."""

    copies = 4

    def optimizer(self, rule: ModuleRule, rate: float) -> optim.Optimizer:
        """Return Adam, which goes through all numbers of a parameter once."""
        return optim.Adam(rule.parameters(), lr=rate, fused=True)


@final
@dataclass(frozen=True)
class ByFactors(Training):
    """Changes of rank one, which need the parameters alone; see `bilevel.learned.FactoredAdam` for what is exact."""

    copies = 1
    unrolls = False

    def prepare(self, rule: ModuleRule) -> None:
        """Let the linear layers keep no gradients."""
        factored(rule)

    def optimizer(self, rule: ModuleRule, rate: float) -> optim.Optimizer:
        """Return the optimizer for such layers."""
        return FactoredAdam(rule, lr=rate)


@final
@dataclass(frozen=True)
class Corrected(Updater):
    r"""A gradient step with a learned correction of bounded size.

    $$z \leftarrow z - \alpha\, g + c \tanh(h_\phi(z, g) / c), \qquad
    \min_\phi\ q(z_\text{new}) + \tfrac{\lambda}{2} \lVert z_\text{new} - z \rVert^2$$

    The last layer of h begins at zero, so that the updater begins as gradient descent.

    Args:
        network: h.
        by: how φ is trained.
    """

    network: Network
    by: Training = ByAdam()

    @property
    def unrolls(self) -> bool:
        """Whether the training allows it."""
        return self.by.unrolls

    def rule(self, settings: UpdaterSettings, discriminator: Discriminator) -> ModuleRule:
        """Return the corrected step."""
        learned = self.network.make(settings, discriminator, zero_last=True)
        self.by.prepare(learned)
        return BoundedResidual(learned, base=Gradient(settings.step), limit=settings.limit)

    def training(
        self, rule: Any, settings: UpdaterSettings, discriminator: Discriminator
    ) -> tuple[optim.Optimizer, RuleLoss]:
        """Return the optimizer, and the loss with its price on the steps."""
        return self.by.optimizer(rule, settings.rate or self.network.rate(discriminator)), _priced(settings)

    def check(self, settings: UpdaterSettings, discriminator: Discriminator) -> None:
        """Require memory for all that the training keeps."""
        _require(self.needed(settings, discriminator), self.network, settings, discriminator)

    def needed(self, settings: UpdaterSettings, discriminator: Discriminator) -> int:
        """Return how many bytes that is."""
        # The gradients of several updates are summed, one more being there while they are.
        return (self.by.copies + (settings.unroll > 1)) * _FLOAT * self.network.parameters(settings, discriminator)


@final
@dataclass(frozen=True)
class Alone(Updater):
    r"""The network as the paper has it, $z \leftarrow z + h_\phi(z, g)$, with its usual first values and no bound.

    With the plain loss it is known to diverge: nothing in a loss of one step ahead keeps the weights small.

    Source: Jiang et al., ICLR 2020 submission, appendix C.2.

    Args:
        network: h.
        loss: what φ is trained for, from the settings.
        default_rate: the usual rate of Adam for φ; ``None`` for that of the network.
    """

    network: Network
    loss: Callable[[UpdaterSettings], RuleLoss]
    default_rate: float | None = None

    def rule(self, settings: UpdaterSettings, discriminator: Discriminator) -> ModuleRule:
        """Return the network."""
        return self.network.make(settings, discriminator, zero_last=False)

    def training(
        self, rule: Any, settings: UpdaterSettings, discriminator: Discriminator
    ) -> tuple[optim.Optimizer, RuleLoss]:
        """Return Adam and the loss."""
        rate = settings.rate or self.default_rate or self.network.rate(discriminator)
        return ByAdam().optimizer(rule, rate), self.loss(settings)

    def check(self, settings: UpdaterSettings, discriminator: Discriminator) -> None:
        """Require memory for all that Adam keeps."""
        needed = (ByAdam.copies + (settings.unroll > 1)) * _FLOAT * self.network.parameters(settings, discriminator)
        _require(needed, self.network, settings, discriminator)


def _priced(settings: UpdaterSettings) -> RuleLoss:
    """Return the loss with its price on the steps, if there is one."""
    return Proximal(settings.proximal) if settings.proximal else LastAnswer()


_CORRECTED: Final = {
    "coordinate-wise": Corrected(CoordinateWise()),
    "lstm": Corrected(Recurrent()),
    "per-layer": Corrected(PerLayer()),
    "low-rank": Corrected(Projected()),
    "paper": Corrected(AllAtOnce()),
    "paper-factored": Corrected(AllAtOnce(), by=ByFactors()),
}

LEARNED: dict[str, Updater] = {
    **_CORRECTED,
    "paper-proximal": Alone(AllAtOnce(), _priced),
    "paper-literal": Alone(AllAtOnce(), lambda _: LastAnswer(), 0.01),  # the rate of Ho and Ermon's code for D
}
"""They by name."""


def _require(needed: int, network: Network, settings: UpdaterSettings, discriminator: Discriminator) -> None:
    """Raise `bilevel.ConfigurationError` if so many bytes are not to be had, with what fits."""
    sizes = {name: one.needed(settings, discriminator) for name, one in _CORRECTED.items()}

    def advice(left: int) -> str:
        fitting = [f"{name} ({_readable(size)})" for name, size in sizes.items() if size < left]
        fewer = "fewer weights, such as --hidden 16 8 for the discriminator"
        return f"What fits: {', '.join(fitting)}; or {fewer}." if fitting else f"Take {fewer}."

    require_memory(
        needed,
        f"The updater {settings.name} has {network.parameters(settings, discriminator):,} parameters for a "
        f"discriminator of {discriminator.size:,} weights. With all that its training keeps it",
        advice,
    )


def _readable(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{max(1, round(size / 2**20))} MiB"
