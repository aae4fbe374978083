"""What is added to the discriminator's loss to keep it mild."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import Final, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from bilevel.errors import ConfigurationError
from bilevel.rules.safe_roots import safe_sqrt
from tasks.gail.batch import ImitationBatch
from tasks.gail.discriminator import Discriminator, Weights

_GOLDEN: Final = (math.sqrt(5) - 1) / 2


class Regulariser(abc.ABC):
    """A term of the discriminator's loss."""

    @abc.abstractmethod
    def __call__(
        self,
        discriminator: Discriminator,
        z: Weights,
        batch: ImitationBatch,
        policy: Float[Tensor, " n"],
        expert: Float[Tensor, " m"],
    ) -> Float[Tensor, ""]:
        """Return the term.

        Args:
            discriminator: the network.
            z: its weights.
            batch: the pairs.
            policy: the logits of the policy's pairs.
            expert: the logits of the expert's pairs.
        """


@final
@dataclass(frozen=True)
class EntropyBonus(Regulariser):
    r"""Minus the entropy of what the discriminator says, in nats.

    $$-c\,\big(\mathrm{mean}_\pi H(\sigma(s)) + \mathrm{mean}_E H(\sigma(s))\big), \qquad
    H(\sigma(s)) = \log(1 + e^s) - s\, \sigma(s)$$

    Ho and Ermon's code weighs the pairs so that each player counts as much as the other, as here. (OpenAI's baselines
    take the mean over all pairs, half as much.)

    Args:
        weight: c, at least 0.

    Raises:
        ConfigurationError: if ``weight`` is negative or not finite.

    Source: the code of Ho and Ermon 2016 (weight 0.001).
    """

    weight: float = 1e-3

    def __post_init__(self) -> None:
        _check_weight("EntropyBonus", self.weight)

    def __call__(
        self,
        discriminator: Discriminator,
        z: Weights,
        batch: ImitationBatch,
        policy: Float[Tensor, " n"],
        expert: Float[Tensor, " m"],
    ) -> Float[Tensor, ""]:
        """Return the term."""
        return -self.weight * (_entropy(policy).mean() + _entropy(expert).mean())


@final
@dataclass(frozen=True)
class GradientPenalty(Regulariser):
    r"""A price on slopes of the logit other than 1 between the two players' pairs.

    $$\lambda\; \mathrm{mean}_i\, \big(\lVert \nabla_x s_\theta(x_i) \rVert_2 - 1\big)^2, \qquad
    x_i = \epsilon_i\, x^\pi_i + (1 - \epsilon_i)\, x^E_i$$

    The i-th pairs of both players are taken together (those of the smaller side again from the first), and the
    $\epsilon_i$ are evenly spread numbers, the multiples of the golden ratio without their whole part, rather than
    random ones: so the follower's loss is a function of its weights, and a resumed run needs no more random numbers.

    Args:
        weight: λ, at least 0.
        slope: the slope that costs nothing; 1, or 0 for a price on every slope.

    Raises:
        ConfigurationError: if ``weight`` or ``slope`` is negative or not finite.

    Source: Gulrajani et al. 2017 (λ = 10).
    """

    weight: float = 10.0
    slope: float = 1.0

    def __post_init__(self) -> None:
        _check_weight("GradientPenalty", self.weight)
        _check_weight("GradientPenalty", self.slope, "slope")

    def __call__(
        self,
        discriminator: Discriminator,
        z: Weights,
        batch: ImitationBatch,
        policy: Float[Tensor, " n"],
        expert: Float[Tensor, " m"],
    ) -> Float[Tensor, ""]:
        """Return the term; it costs one more pass through the network, and one back to its input."""
        between = _between(batch).requires_grad_()
        keep = torch.is_grad_enabled()
        with torch.enable_grad():
            total = discriminator.logits(z, between).sum()
            (slopes,) = torch.autograd.grad(total, between, create_graph=keep)
        lengths = safe_sqrt(slopes.square().sum(1))  # a length of exactly 0 has no derivative, and would give NaN
        return self.weight * (lengths - self.slope).square().mean()


def _between(batch: ImitationBatch) -> Float[Tensor, "k f"]:
    """Return points between the pairs of both players."""
    count = max(len(batch.policy), len(batch.expert))
    number = torch.arange(count, device=batch.policy.device)
    policy, expert = batch.policy[number % len(batch.policy)], batch.expert[number % len(batch.expert)]
    share = torch.remainder((number + 1).double() * _GOLDEN, 1).to(policy)[:, None]
    return torch.lerp(expert, policy, share).detach()


def _entropy(logits: Tensor) -> Tensor:
    return softplus(logits) - logits * torch.sigmoid(logits)


def _check_weight(name: str, value: float, what: str = "weight") -> None:
    if not (math.isfinite(value) and value >= 0):
        raise ConfigurationError(f"{name}'s {what} is {value}; it must be at least 0 and finite.")
