"""The policy's reward, made of the discriminator's logits."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus


class Reward(abc.ABC):
    r"""A reward for each pair, from the logit s of $D = \sigma(s)$, the probability that it is the expert's.

    (The D of Jiang et al.'s Eq. 4 is the policy's probability, 1 - D here.) All are computed from s itself, never from
    a rounded probability, so that they stay finite and keep their slope for any finite s.
    """

    @abc.abstractmethod
    def __call__(self, logits: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return the reward of each pair."""


@final
@dataclass(frozen=True)
class Survival(Reward):
    r"""$-\log(1 - D) = \log(1 + e^s)$, never negative: a longer episode is never worse.

    For tasks whose episodes are cut off when the policy fails, such as CartPole. The sign alone teaches such a task.

    Source: Ho and Ermon 2016, and their code's default.
    """

    def __call__(self, logits: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return softplus(s)."""
        return softplus(logits)


@final
@dataclass(frozen=True)
class Haste(Reward):
    r"""$\log D = -\log(1 + e^{-s})$, never positive: a longer episode is never better.

    For tasks whose episodes end when the policy succeeds, such as MountainCar. The sign alone teaches such a task.

    Source: Ho and Ermon 2016, their code's option for such tasks.
    """

    def __call__(self, logits: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return logsigmoid(s)."""
        return logsigmoid(logits)


@final
@dataclass(frozen=True)
class Logit(Reward):
    r"""The difference of the two, $\log D - \log(1 - D) = s$, of either sign.

    Source: Fu, Luo and Levine 2018, Eq. 3 (AIRL).
    """

    def __call__(self, logits: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return s."""
        return logits


@final
@dataclass(frozen=True)
class Frozen(Reward):
    """A reward at D = 1/2, whatever the discriminator says: the control that shows what the sign alone teaches.

    Args:
        reward: the form whose value at s = 0 every pair gets.
    """

    reward: Reward

    def __call__(self, logits: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return the same number for each pair: log 2, -log 2 or 0."""
        return self.reward(torch.zeros_like(logits))


REWARDS: dict[str, Reward] = {"survival": Survival(), "haste": Haste(), "logit": Logit()}
"""The forms by name."""
