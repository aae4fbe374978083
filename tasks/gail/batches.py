"""The batches of imitation: what the policy just did, beside what the expert did."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from tasks.gail.batch import ImitationBatch
from tasks.gail.features import Features
from tasks.gail.learner import Learner
from tasks.gail.task import Imitation


@final
class RolloutBatches:
    """One batch an epoch, for which the policy is played when it is asked for.

    Args:
        learner: plays.
        task: makes the batch.
        features: turns pairs into rows.
        expert: the rows of all of the expert's pairs.
        count: how many of them a batch has, drawn at random without repetition; ``None`` for all, in random order.
    """

    def __init__(
        self,
        learner: Learner,
        task: Imitation,
        features: Features,
        expert: Float[Tensor, "m f"],
        count: int | None = None,
    ) -> None:
        self.learner = learner
        self.task = task
        self.features = features
        self.expert = expert
        self.count = count

    def __len__(self) -> int:
        """An epoch is one iteration."""
        return 1

    def __iter__(self) -> Iterator[ImitationBatch]:
        """Return the batch of an iteration."""
        return self.batches_after(0)

    def batches_after(self, count: int) -> Iterator[ImitationBatch]:
        """Return the batch of an iteration, or none if it is done."""
        for _ in range(count, len(self)):
            rollout = self.learner.collect()
            chosen = torch.randperm(len(self.expert))[: self.count]
            yield self.task.batch(self.features.rows(rollout.observations, rollout.actions), self.expert[chosen])
