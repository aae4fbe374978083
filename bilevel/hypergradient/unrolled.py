"""The leader differentiates through every move of the follower."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from bilevel.counts import check_count
from bilevel.errors import ConfigurationError
from bilevel.hypergradient.base import Hypergradient, LeaderGradient, differentiate, pack
from bilevel.inner import InnerProblem, scalar
from bilevel.rollout import Rollout
from bilevel.rule_gradient import RuleGradient, require_rule
from bilevel.rule_loss import RuleLoss
from bilevel.rules.protocol import State
from bilevel.tree import Tree, asking, leaves, tree_map


@final
@dataclass(frozen=True)
class Unrolled(Hypergradient):
    r"""The derivative through all K updates of the rule, whatever rule it is.

    $$\frac{d}{d\theta}\, \ell(\theta, z_K(\theta)), \qquad
    z_{t+1} = \Pi\big(z_t + g(z_t, \nabla_z q(\theta, z_t), s_t)\big)$$

    Exact for the K updates that were made, also where they are far from optimal. It sees θ in the follower's loss, in
    the start of a follower that starts anew (as in MAML, where ``start`` returns the leader's parameters), and in the
    rule itself, if the leader is the rule's own parameters. A follower that lives on is differentiated through its last
    K updates.

    The cost is about that of K second derivatives, and the memory grows linearly with K; `Checkpointed` needs about
    its square root. A rule that is trained (``rule_optimizer``) on the answer that the leader sees, as in
    `Simultaneous` play or with ``same_answer=True``, gets the exact derivative too, through the gradients that it sees;
    on an answer of its own, and with other hypergradients, these are constants for φ.

    Args:
        answers: over how many of the last answers the leader's loss is averaged. 1 is the loss at z_K; a learned
            optimizer that shall be good on its whole way takes all of them, $\frac 1n \sum_{t > K - n} \ell(\theta,
            z_t)$.

    Raises:
        ConfigurationError: if ``answers`` is no whole number from 1, or more than the follower makes a step.

    Source: Maclaurin et al. 2015; Franceschi et al. 2017, reverse mode; Andrychowicz et al. 2016 for a leader that is
    the rule.
    """

    answers: int = 1
    needs_moves: ClassVar[bool] = True
    needs_graph: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_count("Unrolled's answers", self.answers)

    def check(self, problem: InnerProblem, steps: int) -> None:
        """Refuse more answers than the follower gives."""
        require_answers(self, self.answers, steps)

    def roll_out(self, problem: InnerProblem, start: Tree, state: State, **settings: Any) -> Rollout:
        """Let the follower move with the graph of all updates."""
        if settings["keep"] is not None:
            settings["keep"] = max(settings["keep"], self.answers - 1)
        return problem.roll_out(start, state, track_leader=settings["steps"], **settings)

    def leader_gradient(self, rollout: Rollout, state: Any = None) -> LeaderGradient:
        """Return dℓ/dθ through the rollout's graph, which is freed."""
        return through(rollout, self.answers)

    def both_gradients(
        self, rollout: Rollout, phi: Sequence[Tensor], rule_loss: RuleLoss, state: Any = None
    ) -> tuple[LeaderGradient, RuleGradient]:
        """Return both gradients; in a zero-sum task they come from one backward pass."""
        task, batch = rollout.problem.task, rollout.problem.batch
        if not task.zero_sum or self.answers > 1 or rule_loss.uses_moves:
            return super().both_gradients(rollout, phi, rule_loss, state)
        answer = asking(rollout.answer)
        loss = scalar(task.losses(batch, answer)[0], task, "loss")
        places = leaves(answer) if task.remembers else []
        both = torch.autograd.grad(loss, [*phi, *rollout.problem.moved, *places], allow_unused=True)
        gradient = tuple(None if g is None else -g for g in both[: len(phi)])
        require_rule(gradient, rollout)
        return pack(loss, both[len(phi) :], rollout, answer), RuleGradient(-loss.detach(), gradient)


def require_answers(method: Hypergradient, answers: int, steps: int) -> None:
    """Raise `ConfigurationError` if a method averages over more answers than the follower gives."""
    if answers > steps:
        raise ConfigurationError(
            f"{type(method).__name__}(answers={answers}) averages over more answers than the {steps} that the follower "
            f"gives a step: pass steps={answers} or more to the Solver."
        )


def through(rollout: Rollout, answers: int = 1) -> LeaderGradient:
    """Return the derivative of the leader's loss, averaged over the last answers, through the rollout's graph."""
    answer = asking(rollout.answer)
    with torch.enable_grad():
        losses = [rollout.problem.leader_loss(z) for z in (*rollout.iterates[:-1], answer)[-answers:]]
        loss = losses[0] if answers == 1 else torch.stack(losses).mean()
    found = differentiate(loss, rollout, answer)
    if answers > 1 and found.answer_gradient is not None:  # the answer is in one of the losses
        found = dataclasses.replace(found, answer_gradient=tree_map(lambda g: answers * g, found.answer_gradient))
    return found
