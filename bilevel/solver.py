"""The solver: a task, a rule, a hypergradient and a play, combined."""

from __future__ import annotations

import operator
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, final

import torch
from torch import Tensor, nn, optim

from bilevel.errors import CheckpointError, TaskError
from bilevel.follower import make_follower
from bilevel.hypergradient import Direct, Hypergradient, LeaderGradient
from bilevel.hypergradient.direct import differentiate, loss_name, pack
from bilevel.leader import LeaderUpdate, parameters_of, step_along
from bilevel.parts import check_parts, trained_parameters
from bilevel.play import Play, Simultaneous
from bilevel.record import Record
from bilevel.rollout import Rollout, roll_out, scalar
from bilevel.rule_loss import LastAnswer, RuleLoss
from bilevel.rules.module import evaluating
from bilevel.rules.protocol import Rule
from bilevel.task import Task
from bilevel.tree import Tree, detach, leaves, norms, tree_map

BatchT = TypeVar("BatchT")


@dataclass(frozen=True, slots=True)
class RuleGradient:
    """The gradient of the rule's training loss in φ, and the follower's loss at the answer, without a graph."""

    loss: Tensor
    gradient: tuple[Tensor | None, ...]


@final
class Solver(Generic[BatchT]):
    """Lets a leader and a follower move against each other, one `step` a batch.

    Args:
        task: what the players want.
        rule: how the follower moves: one of `bilevel.rules`, `bilevel.learned` or any optimizer of TorchOpt.
        steps: how many updates of the rule make an answer, at least 1.
        leader_optimizer: a torch optimizer over the leader's parameters, or a `LeaderUpdate`; ``None`` if nobody leads.
        rule_optimizer: a torch optimizer over the rule's parameters φ; ``None`` if there are none or they stay.
        hypergradient: how the leader sees the answer.
        play: who moves when.
        rule_loss: what φ is trained for.

    Attributes:
        step_count: how many steps were taken.
        follower: where the follower stands between steps.

    Raises:
        ConfigurationError: if the parts do not fit together.
    """

    def __init__(
        self,
        task: Task[Any, BatchT],
        rule: Rule,
        *,
        steps: int = 1,
        leader_optimizer: optim.Optimizer | LeaderUpdate | None = None,
        rule_optimizer: optim.Optimizer | None = None,
        hypergradient: Hypergradient | None = None,
        play: Play | None = None,
        rule_loss: RuleLoss | None = None,
    ) -> None:
        leader_update = check_parts(
            task,
            rule,
            steps=steps,
            leader_optimizer=leader_optimizer,
            rule_optimizer=rule_optimizer,
            hypergradient=hypergradient,
            play=play,
            rule_loss=rule_loss,
        )
        self.task = task
        self.rule = rule
        self.steps = operator.index(steps)
        self.rule_optimizer = rule_optimizer
        self.hypergradient = hypergradient or Direct()
        self.play = play or Simultaneous()
        self.rule_loss = rule_loss or LastAnswer()
        self.step_count = 0
        self.leader_update = leader_update
        self.follower = make_follower(task, rule)
        self._leader = parameters_of(task.leader)
        moved = self.leader_update.parameters(task.leader) if self.leader_update else []
        self._moved = moved if self.leader_update and self.leader_update.uses_gradient else []
        self._phi = trained_parameters(rule, rule_optimizer)

    def step(self, batch: BatchT) -> Record:
        """Let the players move once on ``batch`` and say what happened.

        Raises:
            TaskError: if a method of the task returned something unusable.
        """
        begin = time.perf_counter()
        with torch.enable_grad():
            moves = self.play.step(self, batch)
        self.step_count += 1
        leader, rule = moves.leader, moves.rule
        moved = [[g for g in part.gradient if g is not None] for part in (leader, rule) if part]
        lengths = iter(norms(*moved) if moved else ())
        reached = rule.loss if rule else (moves.rollout.loss if moves.rollout else None)
        return Record(
            step=self.step_count,
            leader_loss=leader.loss if leader else None,
            follower_loss=reached,
            leader_gradient_norm=next(lengths) if leader else None,
            rule_gradient_norm=next(lengths) if rule else None,
            residual=leader.residual if leader else None,
            status=leader.status if leader else None,
            seconds=time.perf_counter() - begin,
        )

    @property
    def answer(self) -> Tree | None:
        """Where a follower that lives on stands; ``None`` before its first step here, and for one that starts anew."""
        return self.follower.answer

    # What a play is built from.

    @property
    def follower_remembers(self) -> bool:
        """Whether a move of the follower changes anything for the next step: φ learns, or the follower lives on."""
        return bool(self._phi) or self.task.lives_on

    def follow(self, batch: BatchT) -> Rollout:
        """Let the follower move, with the graph to φ if φ is trained; nothing is kept yet."""
        return self._roll_out(batch, track_rule=bool(self._phi))

    def answer_to(self, batch: BatchT) -> Rollout:
        """Return the follower's answer with nothing learned from it: φ has no graph and is in evaluation mode."""
        return self._roll_out(batch, track_rule=False)

    def leader_gradient(self, batch: BatchT, rollout: Rollout) -> LeaderGradient | None:
        """Return the hypergradient at the follower's answer; ``None`` for a leader without one."""
        if not self._moved:
            return None
        return self.hypergradient.leader_gradient(self.task, batch, rollout, self._moved)

    def rule_gradient(self, batch: BatchT, rollout: Rollout) -> RuleGradient | None:
        """Return the gradient of the rule's training loss in φ; ``None`` for a rule that is not trained."""
        if not self._phi:
            return None
        loss = scalar(self.task.follower_loss(batch, rollout.answer), self.task, "follower_loss")
        return RuleGradient(loss.detach(), self._differentiate_rule(loss, rollout))

    def gradients(self, batch: BatchT, rollout: Rollout) -> tuple[LeaderGradient | None, RuleGradient | None]:
        """Return both players' gradients at the same answer in as few passes as the task allows."""
        if not (self._moved and self._phi and self.hypergradient.shares_backward):
            return self.leader_gradient(batch, rollout), self.rule_gradient(batch, rollout)
        # The leader's loss is differentiated at a point of its own, apart from what else the answer goes into.
        answer = tree_map(torch.clone, rollout.answer) if self.task.remembers else rollout.answer
        leader_loss, follower_loss = self.task.losses(batch, answer)
        leader_loss = scalar(leader_loss, self.task, loss_name(self.task))
        if not self.task.zero_sum:
            leader = differentiate(leader_loss, self._moved, answer, self.task, retain_graph=True)
            follower_loss = scalar(follower_loss, self.task, "follower_loss")
            phi = self._differentiate_rule(follower_loss, rollout)
        else:
            addition = self.rule_loss.addition(rollout)
            total = leader_loss if addition is None else leader_loss - addition
            places = leaves(answer) if self.task.remembers else []
            both = torch.autograd.grad(total, [*self._phi, *self._moved, *places], allow_unused=True)
            # Not in place: autograd may hand out one tensor for several inputs.
            phi = tuple(None if g is None else -g for g in both[: len(self._phi)])
            self._require_rule(phi)
            leader = pack(leader_loss, both[len(self._phi) :], len(self._moved), answer, self.task)
        return leader, RuleGradient(follower_loss.detach(), phi)

    def move_leader(self, batch: BatchT, rollout: Rollout, gradient: LeaderGradient | None) -> None:
        """Let the leader move, along ``gradient`` if it is moved by one; a task that remembers takes note."""
        if gradient is not None and gradient.answer_gradient is not None:
            self.task.remember(batch, detach(rollout.answer), gradient.answer_gradient)
        if self.leader_update is None:
            return
        pairs = None if gradient is None else list(zip(self._moved, gradient.gradient, strict=True))
        self.leader_update.update(batch, detach(rollout.answer), pairs)

    def move_rule(self, gradient: RuleGradient | None) -> None:
        """Let φ move along minus ``gradient``."""
        if self.rule_optimizer is not None and gradient is not None:
            step_along(self.rule_optimizer, list(zip(self._phi, gradient.gradient, strict=True)))

    # Saving and resuming.

    def state_dict(self) -> dict[str, Any]:
        """Return the state of both players and both optimizers, as tensors and plain Python values."""
        leader = self.task.leader
        return {
            "step_count": self.step_count,
            "leader": leader.state_dict() if isinstance(leader, nn.Module) else [p.detach() for p in self._leader],
            "leader_update": self.leader_update.state_dict() if self.leader_update else None,
            "rule": self.rule.state_dict() if isinstance(self.rule, nn.Module) else None,
            "rule_optimizer": self.rule_optimizer.state_dict() if self.rule_optimizer else None,
            "follower": self.follower.state_dict(),
            "task": self.task.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the state that `state_dict` returned.

        Raises:
            CheckpointError: if it was written by another combination of parts.
        """
        try:
            leader = self.task.leader
            if isinstance(leader, nn.Module):
                leader.load_state_dict(state["leader"])
            else:
                with torch.no_grad():
                    for p, value in zip(self._leader, state["leader"], strict=True):
                        p.copy_(value)
            if self.leader_update:
                self.leader_update.load_state_dict(state["leader_update"])
            if isinstance(self.rule, nn.Module):
                self.rule.load_state_dict(state["rule"])
            if self.rule_optimizer:
                self.rule_optimizer.load_state_dict(state["rule_optimizer"])
            self.follower.load_state_dict(state["follower"])
            self.task.load_state_dict(state["task"])
            self.step_count = state["step_count"]
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise CheckpointError(f"The saved state belongs to another task, rule or optimizer: {error}") from error

    def _roll_out(self, batch: BatchT, *, track_rule: bool) -> Rollout:
        start, state = self.follower.begin(batch)
        with nullcontext() if track_rule else evaluating(self.rule):
            return roll_out(
                self.task,
                self.rule,
                batch,
                start,
                state,
                steps=self.steps,
                leader=self._leader,
                track_rule=track_rule,
            )

    def _differentiate_rule(self, loss: Tensor, rollout: Rollout) -> tuple[Tensor | None, ...]:
        addition = self.rule_loss.addition(rollout)
        total = loss if addition is None else loss + addition
        gradient: tuple[Tensor | None, ...] = ()
        if total.requires_grad:
            gradient = torch.autograd.grad(total, self._phi, allow_unused=True)
        self._require_rule(gradient)
        return gradient

    def _require_rule(self, gradient: tuple[Tensor | None, ...]) -> None:
        if all(g is None for g in gradient):
            raise TaskError(
                f"The follower's loss does not depend on any parameter of the rule {type(self.rule).__name__} that its "
                f"optimizer holds: does {type(self.task).__name__}.project or the rule detach, or was it frozen?"
            )
