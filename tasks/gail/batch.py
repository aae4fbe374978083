"""The pairs of one iteration, and which of them a loss is taken on."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor

from bilevel.errors import ConfigurationError


@final
@dataclass(frozen=True)
class ImitationBatch:
    """The features of the pairs of one iteration, as the discriminator sees them.

    Attributes:
        policy: the pairs of a rollout of the policy, one environment after another.
        expert: pairs of the expert, in random order.
    """

    policy: Float[Tensor, "n f"]
    expert: Float[Tensor, "m f"]

    def __post_init__(self) -> None:
        if not len(self.policy) or not len(self.expert):
            raise ConfigurationError(
                f"A batch needs pairs of both players, got {len(self.policy)} of the policy and {len(self.expert)} of "
                "the expert."
            )
        if self.policy.shape[1:] != self.expert.shape[1:]:
            raise ConfigurationError(
                f"The policy's pairs have {self.policy.shape[1]} features and the expert's {self.expert.shape[1]}: are "
                "the demonstrations those of another environment?"
            )


class Split(abc.ABC):
    """Which pairs give the gradient that the rule sees, and which the loss that a learned rule is trained for."""

    @abc.abstractmethod
    def feeding(self, batch: ImitationBatch) -> ImitationBatch:
        """Return the pairs whose gradient the rule sees."""

    @abc.abstractmethod
    def judging(self, batch: ImitationBatch) -> ImitationBatch:
        """Return the pairs on which the rule's answer is judged."""

    def require(self, policy: int, expert: int) -> None:
        """Raise `bilevel.ConfigurationError` if so many pairs of the players are not enough; by default they are."""
        return


@final
@dataclass(frozen=True)
class Whole(Split):
    """All pairs for both (Jiang et al., ICLR 2020 submission, Algorithm 3)."""

    def feeding(self, batch: ImitationBatch) -> ImitationBatch:
        """Return ``batch``."""
        return batch

    def judging(self, batch: ImitationBatch) -> ImitationBatch:
        """Return ``batch``."""
        return batch


@final
@dataclass(frozen=True)
class Halves(Split):
    """The first half of each player's pairs for the gradient, the second half for the judgement.

    So a rule is rewarded for answers that hold on pairs it has not seen. With an even number of environments, whose
    pairs follow one another, the halves are of different episodes, which every second pair would not be.
    """

    def feeding(self, batch: ImitationBatch) -> ImitationBatch:
        """Return the first halves; the middle pair belongs to them."""
        self.require(len(batch.policy), len(batch.expert))
        return ImitationBatch(batch.policy[: _middle(batch.policy)], batch.expert[: _middle(batch.expert)])

    def judging(self, batch: ImitationBatch) -> ImitationBatch:
        """Return the second halves."""
        self.require(len(batch.policy), len(batch.expert))
        return ImitationBatch(batch.policy[_middle(batch.policy) :], batch.expert[_middle(batch.expert) :])

    def require(self, policy: int, expert: int) -> None:
        """Raise unless there are two pairs of each player."""
        if min(policy, expert) < 2:
            raise ConfigurationError(
                f"Two halves need at least two pairs of each player, got {policy} of the policy and {expert} of the "
                "expert: take larger batches, or Whole() (without --fresh)."
            )


def _middle(rows: Tensor) -> int:
    return (len(rows) + 1) // 2
