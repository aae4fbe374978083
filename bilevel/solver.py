"""The solver: a task, a rule, a hypergradient and a play, combined."""

from __future__ import annotations

import operator
import time
from contextlib import nullcontext
from typing import Any, Generic, TypeVar, final

import torch
from torch import Tensor, optim

from bilevel import solver_state
from bilevel.errors import ConfigurationError
from bilevel.field import Field
from bilevel.follower import make_follower
from bilevel.hypergradient import Direct, Hypergradient, LeaderGradient
from bilevel.inner import InnerProblem
from bilevel.leader import LeaderUpdate, frozen, parameters_of, step_along
from bilevel.parts import check_methods, check_parts, check_shareable, trained_parameters
from bilevel.play import Moves, Play, Simultaneous
from bilevel.processes import Processes
from bilevel.record import Record
from bilevel.rollout import Rollout
from bilevel.rule_gradient import RuleGradient, rule_gradient
from bilevel.rule_loss import LastAnswer, RuleLoss
from bilevel.rules.module import evaluating
from bilevel.rules.protocol import Rule, sees_gradient
from bilevel.sharing import Sharing
from bilevel.task import Task
from bilevel.tree import Tree, detach, norms

BatchT = TypeVar("BatchT")


@final
class Solver(Generic[BatchT]):
    """Lets a leader and a follower move against each other, one `step` a batch.

    Args:
        task: what the players want.
        rule: how the follower moves: one of `bilevel.rules`, `bilevel.learned` or any optimizer of TorchOpt.
        steps: how many updates of the rule make an answer, at least 1.
        leader_optimizer: a torch optimizer over the leader's parameters, or a `LeaderUpdate`; ``None`` if nobody leads.
        rule_optimizer: a torch optimizer over the rule's parameters φ; ``None`` if there are none, or they stay, or
            they are what the leader moves (``task.leader`` is the rule: learning to optimize as a bilevel problem).
        hypergradient: how the leader sees the answer.
        play: who moves when.
        rule_loss: what φ is trained for.

    Attributes:
        step_count: how many steps were taken.
        follower: where the follower stands between steps.
        play_state: what the play handed on to its next step.
        hypergradient_state: what the hypergradient handed on.
        moved: the leader's parameters that move along a hypergradient.
        phi: the rule's parameters that are trained.

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
        self._leader = parameters_of(task.leader)
        moved = self.leader_update.parameters(task.leader) if self.leader_update else []
        self.moved = moved if self.leader_update and self.leader_update.uses_gradient else []
        self.phi = trained_parameters(rule, rule_optimizer, self.moved)
        self.follower = make_follower(task, rule, self.moved)
        self.play_state: Any = None
        self.hypergradient_state: Any = None
        self._sharing = Sharing.alone()
        check_methods(self)

    @property
    def processes(self) -> Processes:
        """Those that train together, `Alone` unless `join` was called."""
        return self._sharing.processes

    def join(self, processes: Processes) -> None:
        """Train together with other processes from now on, each on its own share of every batch.

        The players become those of the first process. From then on they move along the means of the gradients over all
        processes, and the floating-point buffers of the players (batch norm's running statistics) become means too.

        Raises:
            ConfigurationError: if the follower lives on, since each process would have another one, or the leader is
                moved by something else than an optimizer.
        """
        check_shareable(self)
        self._sharing = Sharing(processes, self.task.leader, self.rule)
        self._sharing.equalise()

    def step(self, batch: BatchT) -> Record:
        """Let the players move once on ``batch`` and say what happened.

        Raises:
            TaskError: if a method of the task returned something unusable.
            ConfigurationError: if a parameter that is moved was frozen since the solver was built.
        """
        begin = time.perf_counter()
        if not all(p.requires_grad for p in (*self.moved, *self.phi)):
            raise ConfigurationError(
                "A parameter that an optimizer of this Solver moves was frozen (requires_grad=False) since: "
                "unfreeze it, or build a new Solver."
            )
        with torch.enable_grad():
            moves = self.play.step(self, batch, self.play_state)
        self.play_state = moves.state
        self.follower.end_step()
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
            iterations=leader.iterations if leader else None,
            status=leader.status if leader else None,
            seconds=time.perf_counter() - begin,
        )

    @property
    def answer(self) -> Tree | None:
        """Where a follower that lives on stands; ``None`` before its first step here, and for one that starts anew."""
        return self.follower.answer

    # What a play is built from: looking.

    @property
    def follower_remembers(self) -> bool:
        """Whether a move of the follower changes anything for the next step: φ learns, or the follower lives on."""
        return bool(self.phi) or self.task.lives_on

    def problem(self, batch: Any) -> InnerProblem:
        """Return the follower's problem on ``batch``."""
        return InnerProblem(self.task, batch, self.rule, self._leader, self.moved)

    def standing(self, batch: BatchT) -> Rollout | None:
        """Return the place of a follower that lives on as an answer that took no move; ``None`` for one that starts."""
        if not self.task.lives_on:
            return None
        z, state = self.follower.begin(batch)
        return Rollout(self.problem(batch), z, state, z, state, fresh=self.follower.fresh)

    def follow(self, batch: BatchT, *, seen: bool = False, first: tuple[Tensor, Tree] | None = None) -> Rollout:
        """Let the follower move, with the graph to φ if φ is trained; nothing is kept yet.

        Args:
            batch: the batch.
            seen: whether the leader will ask for the hypergradient at this answer.
            first: the follower's loss, and what its rule is to take for the gradient, where it stands.
        """
        return self._roll_out(batch, track_rule=bool(self.phi), seen=seen, first=first)

    def answer_to(self, batch: BatchT) -> Rollout:
        """Return the answer for the leader with nothing learned from it: φ has no graph and is in evaluation mode."""
        return self._roll_out(batch, track_rule=False, seen=True)

    def leader_gradient(self, rollout: Rollout) -> LeaderGradient | None:
        """Return the hypergradient at the follower's answer; ``None`` for a leader without one."""
        if not self.moved:
            return None
        return self._noted(self.hypergradient.leader_gradient(rollout, self.hypergradient_state))

    def rule_gradient(self, rollout: Rollout, *, retain_graph: bool = False) -> RuleGradient | None:
        """Return the gradient of the rule's training loss in φ; ``None`` for a rule that is not trained."""
        return rule_gradient(rollout, self.phi, self.rule_loss, retain_graph=retain_graph) if self.phi else None

    def field(self, batch: BatchT) -> Field:
        """Return both players' gradients where they stand, in as few passes as the task and the methods allow."""
        standing = self.standing(batch)
        if standing is None:
            rollout = self.follow(batch, seen=True)
            if not (self.moved and self.phi):
                return Field(rollout, self.leader_gradient(rollout), None, self.rule_gradient(rollout))
            state = self.hypergradient_state
            leader, rule = self.hypergradient.both_gradients(rollout, self.phi, self.rule_loss, state)
            return Field(rollout, self._noted(leader), None, rule)
        if not self.moved:
            follower = standing.problem.gradient(standing.answer) if sees_gradient(self.rule) else None
            return Field(standing, None, follower)
        if not sees_gradient(self.rule):
            return Field(standing, self.leader_gradient(standing))
        leader, follower = self.hypergradient.field(standing, self.hypergradient_state)
        return Field(standing, self._noted(leader), follower)

    # What a play is built from: moving.

    def move(self, batch: BatchT, field: Field, *, learn: bool = True) -> Moves:
        """Let both players move from where they stand along ``field``, which may have been taken elsewhere.

        Args:
            batch: the batch.
            field: the gradients to move along; those of a follower that lives on feed its rule.
            learn: whether the φ of a follower that lives on moves too, and a task that remembers takes note.
        """
        rollout, rule = field.seen, field.rule
        if self.task.lives_on:
            rollout = self._roll_out(batch, track_rule=bool(self.phi) and learn, seen=False, first=field.follower)
            rule = self.rule_gradient(rollout) if learn else None
        self.move_leader(field.seen, field.leader, learn=learn)
        self.move_rule(rule)
        self.keep(rollout)
        return Moves(field.leader, rule, rollout)

    def move_leader(self, rollout: Rollout, gradient: LeaderGradient | None, *, learn: bool = True) -> None:
        """Let the leader move, along ``gradient`` if it is moved by one; a task that remembers takes note."""
        answer, batch = detach(rollout.answer), rollout.problem.batch
        if learn and gradient is not None and gradient.answer_gradient is not None:
            self.task.remember(batch, answer, gradient.answer_gradient)
        if self.leader_update is None:
            return
        pairs = None
        if gradient is not None:
            means = self._sharing.of_leader(gradient.gradient)
            pairs = list(zip(self.moved, means, strict=True))
        self.leader_update.update(batch, answer, pairs)

    def move_rule(self, gradient: RuleGradient | None) -> None:
        """Let φ move along minus ``gradient``."""
        if self.rule_optimizer is not None and gradient is not None:
            means = self._sharing.of_rule(gradient.gradient)
            step_along(self.rule_optimizer, list(zip(self.phi, means, strict=True)))

    def keep(self, rollout: Rollout) -> None:
        """Let a follower that lives on stand where the rollout ended."""
        self.follower.keep(rollout)

    # Saving and resuming.

    def state_dict(self) -> dict[str, Any]:
        """Return the state of both players, both optimizers and the methods, as tensors and plain Python values."""
        return solver_state.of(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the state that `state_dict` returned.

        Raises:
            CheckpointError: if it was written by another combination of parts.
        """
        solver_state.restore(self, state)

    def _noted(self, gradient: LeaderGradient) -> LeaderGradient:
        self.hypergradient_state = gradient.state
        return gradient

    def _roll_out(
        self, batch: BatchT, *, track_rule: bool, seen: bool, first: tuple[Tensor, Tree] | None = None
    ) -> Rollout:
        start, state = self.follower.begin(batch)
        problem = self.problem(batch)
        settings: dict[str, Any] = {
            "steps": self.steps,
            "track_rule": track_rule,
            "keep": None if track_rule and self.rule_loss.uses_moves else 0,
            "first": first,
            "fresh": self.follower.fresh,
        }
        answers_only = not track_rule and not problem.rule_leads
        with evaluating(self.rule) if answers_only else nullcontext():
            if not (seen and self.moved):
                return problem.roll_out(start, state, **settings)
            with frozen(problem.phi if answers_only else []):
                return self.hypergradient.roll_out(problem, start, state, **settings)
