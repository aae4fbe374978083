"""What an attack raises: the losses of a classifier as the attacker sees them."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from bilevel.errors import ConfigurationError


class AttackLoss(abc.ABC):
    """A loss that an attack raises, of each sample by itself."""

    label: ClassVar[str]
    """How PGM with this loss is called."""

    short: ClassVar[str]
    """What APGD with this loss adds to its name."""

    @abc.abstractmethod
    def each(self, logits: Float[Tensor, "n k"], y: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return the loss of each row of ``logits`` for its label."""

    def __call__(self, logits: Float[Tensor, "n k"], y: Int[Tensor, " n"]) -> Float[Tensor, ""]:
        """Return the sum over the samples.

        The sum, unlike the mean, makes a sample's gradient independent of how many others are attacked with it.
        """
        return self.each(logits, y).sum()


@final
@dataclass(frozen=True)
class CrossEntropy(AttackLoss):
    """The cross-entropy (Madry et al. 2018; Jiang et al. 2021, Eq. 2)."""

    label: ClassVar[str] = "PGM"
    short: ClassVar[str] = "CE"

    def each(self, logits: Float[Tensor, "n k"], y: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return the cross-entropies."""
        return F.cross_entropy(logits, y, reduction="none")


@final
@dataclass(frozen=True)
class Margin(AttackLoss):
    r"""How far the best wrong class leads, up to a confidence (Carlini and Wagner 2017, f_6).

    $$\min\big(\max_{j \ne y} z_j - z_y,\ \kappa\big)$$

    Its gradient does not fade where the classifier is sure of itself, as that of the cross-entropy does.

    Args:
        confidence: κ, in units of the logits; a sample that errs by more is left where it is. The default is that
            of the "CW" attack in Table 4 of Jiang et al. 2021 (from the code of adversarial interpolation training).

    Raises:
        ConfigurationError: if ``confidence`` is negative or not finite.
    """

    confidence: float = 50.0
    label: ClassVar[str] = "CW"
    short: ClassVar[str] = "CW"

    def __post_init__(self) -> None:
        if not (self.confidence >= 0 and math.isfinite(self.confidence)):
            raise ConfigurationError(f"Margin: confidence must be a finite number >= 0, got {self.confidence}.")

    def each(self, logits: Float[Tensor, "n k"], y: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return the margins."""
        return lead_of_the_others(logits, y).clamp_max(self.confidence)


def lead_of_the_others(logits: Float[Tensor, "n k"], y: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    r"""Return by how much the best wrong class leads, $\max_{j \ne y} z_j - z_y$: negative where the label wins."""
    index = y.long().unsqueeze(1)
    own = logits.gather(1, index).squeeze(1)
    return logits.scatter(1, index, -torch.inf).amax(1) - own
