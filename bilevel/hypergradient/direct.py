"""The leader takes the follower's answer for a constant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from bilevel.hypergradient.base import Hypergradient, LeaderGradient, differentiate, pack
from bilevel.inner import scalar
from bilevel.rollout import Rollout
from bilevel.rule_gradient import RuleGradient, require_rule, rule_gradient
from bilevel.rule_loss import RuleLoss
from bilevel.task import Task
from bilevel.tree import Tree, as_leaves, asking, detach, filled, leaves, replace_leaves, tree_map


@final
@dataclass(frozen=True)
class Direct(Hypergradient):
    r"""The partial derivative in θ at the follower's answer.

    $$\frac{\partial}{\partial\theta}\, \ell(\theta, z)\Big|_{z = z_K}$$

    Exact where z_K is optimal and the game zero-sum (Danskin's theorem), an approximation elsewhere. One forward and
    one backward pass; in simultaneous play of a zero-sum task they also give the follower's or the rule's gradient.
    Jiang et al. 2021, Algorithms 1 to 4.
    """

    def leader_gradient(self, rollout: Rollout, state: Any = None) -> LeaderGradient:
        """Return ∂ℓ/∂θ with the answer cut from its graph."""
        answer = as_leaves(rollout.answer) if rollout.problem.task.remembers else detach(rollout.answer)
        with torch.enable_grad():
            loss = rollout.problem.leader_loss(answer)
        return differentiate(loss, rollout, answer)

    def both_gradients(
        self, rollout: Rollout, phi: Sequence[Tensor], rule_loss: RuleLoss, state: Any = None
    ) -> tuple[LeaderGradient, RuleGradient]:
        """Return both gradients from one forward pass, and in a zero-sum task from one backward pass."""
        problem = rollout.problem
        task = problem.task
        # The leader's loss is differentiated at a point of its own, apart from what else the answer goes into.
        answer = tree_map(torch.clone, asking(rollout.answer)) if task.remembers else rollout.answer
        leader_loss, follower_loss = task.losses(problem.batch, answer)
        leader_loss = scalar(leader_loss, task, "loss" if task.zero_sum else "leader_loss")
        if not task.zero_sum:
            leader = differentiate(leader_loss, rollout, answer, retain_graph=True)
            follower_loss = scalar(follower_loss, task, "follower_loss")
            return leader, rule_gradient(rollout, phi, rule_loss, loss=follower_loss)
        addition = rule_loss.addition(rollout)
        total = leader_loss if addition is None else leader_loss - addition
        places = leaves(answer) if task.remembers else []
        both = torch.autograd.grad(total, [*phi, *problem.moved, *places], allow_unused=True)
        # Not in place: autograd may hand out one tensor for several inputs.
        gradient = tuple(None if g is None else -g for g in both[: len(phi)])
        require_rule(gradient, rollout)
        leader = pack(leader_loss, both[len(phi) :], rollout, answer)
        return leader, RuleGradient(follower_loss.detach(), gradient)

    def field(self, rollout: Rollout, state: Any = None) -> tuple[LeaderGradient, tuple[Tensor, Tree]]:
        """Return both gradients; in a zero-sum task they come from one pass."""
        problem = rollout.problem
        task = problem.task
        # A context for the rule's passes (batch-norm modes, say) makes the two passes different ones.
        if not task.zero_sum or type(task).inner_context is not Task.inner_context:
            return super().field(rollout, state)
        answer = as_leaves(rollout.answer)
        places = leaves(answer)
        with torch.enable_grad():
            loss = problem.leader_loss(answer)
        found: tuple[Tensor | None, ...] = (None,) * (len(problem.moved) + len(places))
        if loss.requires_grad:
            found = torch.autograd.grad(loss, [*problem.moved, *places], allow_unused=True)
        count = len(problem.moved)
        if all(g is None for g in found[count:]):
            return super().field(rollout, state)  # which says that the loss does not depend on z
        slopes = replace_leaves(answer, filled(found[count:], places))
        leader = pack(loss, found if task.remembers else found[:count], rollout, answer)
        return leader, (-loss.detach(), tree_map(torch.neg, slopes))
