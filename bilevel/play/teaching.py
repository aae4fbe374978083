"""The follower as a teacher: its rule learns to make the leader better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import torch
from torch import nn

from bilevel.counts import check_count
from bilevel.errors import ConfigurationError
from bilevel.hypergradient import Unrolled
from bilevel.inner import InnerProblem
from bilevel.leader import OptimizerUpdate, trained
from bilevel.other_weights import with_weights
from bilevel.play.base import Moves, Play
from bilevel.play.lesson import Lesson
from bilevel.play.requirements import require_number
from bilevel.rule_gradient import RuleGradient
from bilevel.rules.gradient import Gradient
from bilevel.rules.protocol import Rule
from bilevel.tree import detach

if TYPE_CHECKING:
    from bilevel.solver import Solver


def same_batch(batch: Any) -> tuple[Any, Any]:
    """Return ``batch`` twice: the pupil is examined on what it learned from."""
    return batch, batch


@final
@dataclass(frozen=True)
class Teaching(Play):
    r"""The leader learns from the rule's answers; φ moves now and then, so that the leader is good *after* its step.

    $$w(\phi) = \theta - \alpha \nabla_\theta\, \ell(\theta, z_\phi; b), \qquad
    \phi \leftarrow \phi - \nabla_\phi\, \ell\big(w(\phi), z^*; b'\big), \qquad
    \theta \leftarrow \theta - \alpha \nabla_\theta\, \ell(\theta, z_\phi)$$

    In the other plays φ lowers the follower's loss of the moment. Here the follower is a teacher, and what φ lowers is
    the *leader's* loss, after a step of gradient descent on the teacher's answer, at the answer z* of a rule that does
    not learn, the examiner. This is a bilevel problem of its own (`bilevel.play.lesson.Lesson`): φ leads, the weights
    follow, and the hypergradient is `Unrolled` through their steps. z* is a constant, and so is, as in all plays, the
    gradient that the rule sees.

    The pupil's step is one of plain gradient descent, without the momentum and weight decay of the leader's optimizer.
    A lesson costs, beside making both answers, two passes of the pupil, and one that is differentiated twice.

    Args:
        examiner: the rule whose answers judge the pupil, such as `SignGradient`.
        examiner_steps: how many steps it takes, at least 1.
        every: a lesson before every so many moves of the leader, the first included; at least 1.
        pupil_steps: how many steps of descent the pupil takes on the same answer, at least 1.
        rate: α in a lesson; ``None`` for the learning rate that the leader's optimizer has then.
        split: what makes of a batch the two, b to learn from and b' to be examined on; by default both are the batch.

    Raises:
        ConfigurationError: if a number is out of range, or the examiner is no rule.

    Source: the aim is that of LAS-AT (Jia et al. 2022), which takes policy gradients; the step through the learner's
    update is that of Maclaurin et al. 2015.
    """

    examiner: Rule
    examiner_steps: int = 1
    every: int = 10
    pupil_steps: int = 1
    rate: float | None = None
    split: Callable[[Any], tuple[Any, Any]] = same_batch

    def __post_init__(self) -> None:
        for name in ("examiner_steps", "every", "pupil_steps"):
            check_count(f"Teaching's {name}", getattr(self, name))
        if self.rate is not None:
            require_number(self, "rate", above=0.0)
        if isinstance(self.examiner, type) or not isinstance(self.examiner, Rule):
            raise ConfigurationError(
                "Teaching's examiner must be a rule that does not learn, such as bilevel.rules.SignGradient(0.03), got "
                f"{self.examiner!r}."
            )

    def check(self, solver: Solver[Any]) -> None:
        """Refuse a rule that learns nothing, and a leader that no step can be differentiated through."""
        task, update = solver.task, solver.leader_update
        if solver.rule_optimizer is None or not isinstance(solver.rule, nn.Module):
            raise ConfigurationError(
                f"Teaching trains the follower's rule, and {type(solver.rule).__name__} has nothing to train: pass a "
                "rule of bilevel.learned and a rule_optimizer over its parameters."
            )
        if task.lives_on or not isinstance(task.leader, nn.Module) or not isinstance(update, OptimizerUpdate):
            raise ConfigurationError(
                "Teaching needs a leader that is an nn.Module, moved by a torch optimizer, and a follower that starts "
                f"anew on each batch; {type(task).__name__} has it otherwise: use play=bilevel.LeaderFirst()."
            )
        if self.rate is None and len({float(group["lr"]) for group in update.optimizer.param_groups}) > 1:
            raise ConfigurationError(
                "The leader's optimizer has several learning rates, and the pupil of Teaching takes its steps with "
                "one: pass Teaching(..., rate=...)."
            )

    def step(self, solver: Solver[Any], batch: Any, state: Any) -> Moves:
        """Give a lesson if it is time, then move the leader."""
        rule = None
        if solver.step_count % self.every == 0:
            rule = self.lesson(solver, batch)
            solver.move_rule(rule)
        answer = solver.answer_to(batch)
        leader = solver.leader_gradient(answer)
        solver.move_leader(answer, leader)
        return Moves(leader, rule, answer)

    def lesson(self, solver: Solver[Any], batch: Any) -> RuleGradient | None:
        """Return the gradient in φ of the pupil's loss in its exam; ``None`` while the learning rate is 0.

        Raises:
            TaskError: if the pupil's loss does not depend on φ.
        """
        assert isinstance(solver.leader_update, OptimizerUpdate)
        assert isinstance(solver.rule, nn.Module)
        assert solver.rule_optimizer is not None
        rate = float(solver.leader_update.optimizer.param_groups[0]["lr"]) if self.rate is None else self.rate
        if rate == 0:
            return None
        first, exam = self.split(batch)
        moves = solver.follow(first)
        # Before the exam, which begins another attack: a task may keep constants of the one that it knows.
        with torch.no_grad(), solver.task.rule_context():
            loss = with_weights(solver.task.leader, {}, lambda: moves.problem.follower_loss(detach(moves.answer)))
        lesson = Lesson(
            solver.task,
            solver.rule,
            moves.problem.moved,
            batch=first,
            answer=moves.answer,
            exam=exam,
            examiner=self.examiner,
            steps=self.examiner_steps,
        )
        phi = trained(solver.rule_optimizer, list(solver.rule.parameters()), "rule_optimizer", "the rule")
        problem = InnerProblem(lesson, None, Gradient(rate), phi, phi)
        unrolled = Unrolled()
        rollout = unrolled.roll_out(problem, lesson.start(None), (), steps=self.pupil_steps, keep=0)
        gradient = unrolled.leader_gradient(rollout).gradient
        return RuleGradient(loss, gradient)
