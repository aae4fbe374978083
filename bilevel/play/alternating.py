"""Alternating play: one player sees the other's new move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from bilevel.counts import check_count
from bilevel.play.base import Moves, Play

if TYPE_CHECKING:
    from bilevel.rollout import Rollout
    from bilevel.solver import RuleGradient, Solver


@final
@dataclass(frozen=True)
class LeaderFirst(Play):
    r"""The leader moves, then the follower, who sees the new leader.

    $$\theta_{t+1} = \theta_t - \alpha \nabla_\theta \ell(\theta_t, z_t), \qquad
    z_{t+1} = \Pi(z_t + g_\phi(z_t, \nabla_z q(\theta_{t+1}, z_t)))$$

    With a follower that starts anew on each batch, z_t is the answer of φ_t to θ_t, and the follower's move is that of
    φ: with ``same_answer=False`` it is made on a new answer to θ_{t+1}, as in the authors' training code; with
    ``same_answer=True`` on the old one (Jiang et al. 2021, Algorithm 3), which saves making it twice.

    Args:
        follower_updates: how many times the follower moves a step, at least 1.
        same_answer: whether φ's first update is on the answer that the leader saw.

    Raises:
        ConfigurationError: if ``follower_updates`` is below 1.
    """

    follower_updates: int = 1
    same_answer: bool = False

    def __post_init__(self) -> None:
        check_count("follower_updates", self.follower_updates)

    def step(self, solver: Solver[Any], batch: Any) -> Moves:
        """Move the leader, then the follower."""
        kept = None
        seen = solver.follower.standing(batch)
        if seen is None:
            seen = solver.follow(batch) if self.same_answer else solver.answer_to(batch)
            kept = seen if self.same_answer else None
        leader = solver.leader_gradient(batch, seen)
        solver.move_leader(batch, seen, leader)
        rule, rollout = _let_follower_move(solver, batch, self.follower_updates, kept)
        return Moves(leader, rule, rollout or seen)


@final
@dataclass(frozen=True)
class FollowerFirst(Play):
    r"""The follower moves, then the leader, who sees the new answer.

    $$z_{t+1} = \Pi(z_t + g_\phi(z_t, \nabla_z q(\theta_t, z_t))), \qquad
    \theta_{t+1} = \theta_t - \alpha \nabla_\theta \ell(\theta_t, z_{t+1})$$

    With a follower that starts anew on each batch, φ moves first; the leader then sees a new answer, made by φ_{t+1},
    or with ``same_answer=True`` the one on which φ was trained (Jiang et al. 2021, Algorithm 4), which saves making it
    twice. The latter moves both players as `Simultaneous` does, but for what ``rule_context`` changes.

    Args:
        follower_updates: how many times the follower moves a step, at least 1.
        same_answer: whether the leader sees the answer on which φ was last trained.

    Raises:
        ConfigurationError: if ``follower_updates`` is below 1.
    """

    follower_updates: int = 1
    same_answer: bool = False

    def __post_init__(self) -> None:
        check_count("follower_updates", self.follower_updates)

    def step(self, solver: Solver[Any], batch: Any) -> Moves:
        """Move the follower, then the leader."""
        rule, rollout = _let_follower_move(solver, batch, self.follower_updates, None)
        seen = rollout if self.same_answer else None
        seen = solver.follower.standing(batch) or seen or solver.answer_to(batch)
        leader = solver.leader_gradient(batch, seen)
        solver.move_leader(batch, seen, leader)
        return Moves(leader, rule, rollout or seen)


def _let_follower_move(
    solver: Solver[Any], batch: Any, times: int, first: Rollout | None
) -> tuple[RuleGradient | None, Rollout | None]:
    """Let the follower move ``times`` times, φ learning from each move; the ``first`` answer may be there already."""
    rule, rollout = None, None
    if not solver.follower_remembers:
        return rule, rollout  # neither φ nor the follower would be another one after it
    with solver.task.rule_context():
        for turn in range(times):
            rollout = first if turn == 0 and first is not None else solver.follow(batch)
            rule = solver.rule_gradient(batch, rollout)
            solver.move_rule(rule)
            solver.follower.keep(rollout)
    return rule, rollout
