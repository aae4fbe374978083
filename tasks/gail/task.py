"""Imitation as a task of the library: the discriminator's weights follow, the policy leads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from bilevel.leader import Leader
from bilevel.task import FollowerTask
from tasks.gail.batch import ImitationBatch, Split, Whole
from tasks.gail.discriminator import Discriminator, Weights
from tasks.gail.normaliser import RunningNorm
from tasks.gail.regularisers import EntropyBonus, Regulariser


@final
class Imitation(FollowerTask[Leader, ImitationBatch]):
    r"""The discriminator learns to tell the policy's pairs from the expert's, and lives on through the run.

    $$q(z) = \mathrm{mean}_\pi \log(1 + e^{s_z(x)}) + \mathrm{mean}_E \log(1 + e^{-s_z(x)}) + \text{regularisers}$$

    the binary cross entropy of the logits s with the label 1 for the expert. With the paper's D, the probability of the
    policy, it is minus the paper's objective: $q = -(\mathrm{E}_\pi \log D + \mathrm{E}_E \log(1 - D))$. So a rule that
    *descends* q *ascends* the objective, as the paper's text and its Eq. 4 ask; its algorithm box says "minimizing",
    which taken at its word would train the discriminator to be wrong.

    A learned rule's gradient and its judgement may come from different pairs, see `tasks.gail.batch.Split`.

    Source: Ho and Ermon 2016, Eq. 14; Jiang et al., ICLR 2020 submission, section 4, Eq. 4 and Algorithm 3.

    Args:
        discriminator: the network.
        leader: the policy, which a `bilevel.LeaderUpdate` moves; ``None`` for nobody.
        regularisers: what is added to the loss; by default Ho and Ermon's entropy bonus of 0.001.
        norm: scales the features by running statistics; ``None`` leaves them as they are.
        split: which pairs give the gradient, and which the rule's training loss.
    """

    def __init__(
        self,
        discriminator: Discriminator,
        *,
        leader: Leader = None,
        regularisers: Sequence[Regulariser] = (EntropyBonus(),),
        norm: RunningNorm | None = None,
        split: Split | None = None,
    ) -> None:
        super().__init__(leader, lives_on=True)
        self.discriminator = discriminator
        self.regularisers = tuple(regularisers)
        self.norm = norm
        self.split = split or Whole()
        self._chosen = self.split.judging

    def batch(self, policy: Float[Tensor, "n f"], expert: Float[Tensor, "m f"]) -> ImitationBatch:
        """Return the batch of an iteration, after taking note of its pairs in the running statistics.

        All losses and rewards of the iteration see the pairs as they are scaled here, whatever the statistics become.

        Args:
            policy: features of the policy's pairs, one environment after another.
            expert: features of the expert's pairs.
        """
        if self.norm is None:
            return ImitationBatch(policy, expert)
        self.norm.see(policy)
        self.norm.see(expert)
        return ImitationBatch(self.norm.scale(policy), self.norm.scale(expert))

    def start(self, batch: ImitationBatch) -> Weights:
        """Return the discriminator's first weights, always the same."""
        return self.discriminator.start(batch.policy)

    def follower_loss(self, batch: ImitationBatch, z: Weights) -> Float[Tensor, ""]:
        """Return q(z) on the pairs that this pass is to see."""
        pairs = self._chosen(batch)
        # One pass for both players.
        logits = self.discriminator.logits(z, torch.cat([pairs.policy, pairs.expert]))
        policy, expert = logits[: len(pairs.policy)], logits[len(pairs.policy) :]
        loss = softplus(policy).mean() + softplus(-expert).mean()
        for regulariser in self.regularisers:
            loss = loss + regulariser(self.discriminator, z, pairs, policy, expert)
        return loss

    @contextmanager
    def inner_context(self) -> Iterator[None]:
        """Take the pairs whose gradient feeds the rule; outside, those on which its answer is judged."""
        self._chosen = self.split.feeding
        try:
            yield
        finally:
            self._chosen = self.split.judging

    def state_dict(self) -> dict[str, Any]:
        """Return the running statistics, if there are any."""
        return {} if self.norm is None else {"norm": self.norm.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the state that `state_dict` returned."""
        if self.norm is not None:
            self.norm.load_state_dict(state["norm"])
