"""What a network is trained for: clean and adversarial images in some proportion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from bilevel.errors import ConfigurationError
from tasks.meta.attack import SignAttack, Weights
from tasks.vision.data import ImageBatch


@final
@dataclass(frozen=True)
class Mixture:
    r"""The mean cross-entropy of clean and of adversarial images, weighed.

    $$\alpha\, \ell(f_z(x), y) + (1 - \alpha)\, \ell(f_z(x'), y)$$

    x' is made at the present z and is a constant in the gradient.

    Args:
        alpha: α, in [0, 1]; 1 is training on clean images.
        attack: what makes x'; not needed with α = 1.

    Raises:
        ConfigurationError: if α is out of range, or the attack is missing.

    Source: Serban et al. 2020, Eq. 6.
    """

    alpha: float = 1.0
    attack: SignAttack | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise ConfigurationError(f"alpha is the share of the clean loss, in [0, 1]; got {self.alpha}.")
        if self.alpha < 1 and self.attack is None:
            raise ConfigurationError(f"alpha = {self.alpha} asks for adversarial examples: name an attack, or alpha 1.")

    @property
    def passes(self) -> int:
        """How many backward passes the gradient costs, those of the attack among them."""
        return 1 if self.alpha == 1 or self.attack is None else 1 + self.attack.steps

    def loss(self, network: nn.Module, weights: Weights, batch: ImageBatch, share: float = 1.0) -> Float[Tensor, ""]:
        """Return the loss.

        Args:
            network: f.
            weights: z.
            batch: clean images and their labels.
            share: which part of the attack's radius is allowed, in [0, 1].
        """
        if self.alpha == 1 or self.attack is None or share == 0:
            return _loss(network, weights, batch.x, batch)
        adversarial = _loss(network, weights, self.attack(network, weights, batch, share), batch)
        if self.alpha == 0:
            return adversarial
        return self.alpha * _loss(network, weights, batch.x, batch) + (1 - self.alpha) * adversarial


CLEAN = Mixture()
"""Clean images only."""


def _loss(network: nn.Module, weights: Weights, x: Tensor, batch: ImageBatch) -> Tensor:
    return cross_entropy(functional_call(network, dict(weights), (x,)), batch.y)
