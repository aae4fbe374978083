"""What lives from step to step: episodes, graphs that must not grow, states that must come back."""

from __future__ import annotations

import pytest
import torch
import torchopt
from alive import alive
from problems import LinearRule, Quadratic, sgd
from torch import nn

import bilevel
from bilevel import (
    CheckpointError,
    ConfigurationError,
    Direct,
    FollowerFirst,
    Implicit,
    LeaderFirst,
    Simultaneous,
    Solver,
    TaskError,
    Truncated,
    Unrolled,
)


class Living(Quadratic):
    def __init__(self, episode=None, seed=0):
        super().__init__(seed)
        self.lives_on, self.episode = True, episode


@pytest.mark.parametrize("play", [Simultaneous(), LeaderFirst(), FollowerFirst()])
def test_an_episode_begins_anew(play):
    task = Living(episode=3)
    solver = Solver(task, torchopt.sgd(0.1, momentum=0.9), leader_optimizer=sgd(task.leader, 0.0), play=play)
    reached = []
    for _ in range(7):
        solver.step(None)
        reached.append(None if solver.answer is None else solver.answer.clone())
    assert reached[2] is None
    assert reached[5] is None
    for first, later in ((0, 3), (1, 4), (0, 6)):
        assert torch.equal(reached[first], reached[later])  # the momentum begins anew too
    assert not torch.equal(reached[0], reached[1])


def test_an_episode_goes_on_after_a_resume():
    def solver():
        task = Living(episode=3)
        return Solver(task, torchopt.sgd(0.1, momentum=0.9), leader_optimizer=sgd(task.leader, 0.01))

    unbroken, first, second = solver(), solver(), solver()
    for _ in range(8):
        unbroken.step(None)
    for _ in range(2):
        first.step(None)
    second.load_state_dict(first.state_dict())
    for _ in range(6):
        second.step(None)
    assert torch.equal(unbroken.task.leader, second.task.leader)
    assert torch.equal(unbroken.answer, second.answer)


@pytest.mark.parametrize(("episode", "lives_on"), [(0, True), (-1, True), (1.5, True), (3, False)])
def test_an_episode_out_of_range_is_refused(episode, lives_on):
    class Some(bilevel.FollowerTask):
        def start(self, batch):
            return torch.zeros(1)

        def follower_loss(self, batch, z):
            return z.sum()

    with pytest.raises((ConfigurationError, TypeError), match="episode"):
        Some(None, lives_on=lives_on, episode=episode)


@pytest.mark.parametrize(
    ("method", "play"),
    [
        (Unrolled(), FollowerFirst()),
        (Truncated(2), FollowerFirst()),
        (Direct(), Simultaneous()),
        (Implicit(), Simultaneous()),
        (bilevel.Checkpointed(), FollowerFirst()),
        (bilevel.ValueFunction(10.0, steps=3), Simultaneous()),
    ],
    ids=lambda m: type(m).__name__,
)
def test_nothing_grows_over_many_steps(method, play):
    task, rule = Living(), LinearRule(-0.1)
    trained = not isinstance(method, bilevel.Checkpointed)
    solver = Solver(
        task,
        rule if trained else rule.requires_grad_(False),
        steps=3,
        leader_optimizer=sgd(task.leader, 1e-3),
        rule_optimizer=sgd(rule.parameters(), 1e-4) if trained else None,
        hypergradient=method,
        play=play,
    )
    for _ in range(5):
        record = solver.step(None)
    before, _ = alive()
    for _ in range(60):
        record = solver.step(None)
    assert alive()[0] <= before + 2
    assert record.leader_loss.grad_fn is None
    assert solver.answer.grad_fn is None
    assert all(p.grad is None for p in (task.leader, *rule.parameters()))


def test_a_living_follower_is_differentiated_through_the_moves_of_the_step():
    """The place from which it goes on is a constant."""
    task = Living()
    task.start = lambda batch: task.solution + 1
    found = hypergradient_of_first(task)
    z = task.solution + task.contraction(3, 0.1) @ torch.ones(4, dtype=torch.float64)
    torch.testing.assert_close(found, task.hypergradient(z, task.slope(3, 0.1)), rtol=0, atol=1e-11)


def hypergradient_of_first(task):
    before = task.leader.detach().clone()
    solver = Solver(
        task,
        torchopt.sgd(0.1),
        steps=3,
        leader_optimizer=sgd(task.leader),
        hypergradient=Unrolled(),
        play=FollowerFirst(),
    )
    solver.step(None)
    found = before - task.leader.detach()
    with torch.no_grad():
        task.leader.copy_(before)
    return found


@pytest.mark.parametrize("play", [Simultaneous(), LeaderFirst()])
@pytest.mark.parametrize("method", [Unrolled(), Truncated(1)])
def test_a_leader_who_sees_the_old_answer_cannot_differentiate_through_moves(play, method):
    task = Living()
    with pytest.raises(ConfigurationError, match=r"differentiates through the follower's moves.*FollowerFirst"):
        Solver(task, torchopt.sgd(0.1), leader_optimizer=sgd(task.leader), hypergradient=method, play=play)


def test_more_truncated_updates_than_there_are_steps_are_refused():
    task = Quadratic()
    with pytest.raises(ConfigurationError, match=r"Truncated\(3\) differentiates through more updates than the 2"):
        Solver(task, torchopt.sgd(0.1), steps=2, leader_optimizer=sgd(task.leader), hypergradient=Truncated(3))


def test_a_zero_sum_game_is_evaluated_once_a_step():
    """Both players live on and move simultaneously: one pass at (θ_t, z_t)."""

    class Counted(bilevel.MinimaxTask):
        passes = 0

        def start(self, batch):
            return torch.ones(())

        def loss(self, batch, z):
            self.passes += 1
            return z * self.leader

    task = Counted(nn.Parameter(torch.ones(())), lives_on=True)
    solver = Solver(task, torchopt.sgd(0.1), leader_optimizer=sgd(task.leader, 0.1))
    record = solver.step(None)
    assert task.passes == 1
    assert (task.leader.item(), solver.answer.item()) == pytest.approx((0.9, 1.1))
    assert (record.leader_loss.item(), record.follower_loss.item()) == (1.0, -1.0)


@pytest.mark.parametrize("z", [torch.zeros(2), torch.zeros(2, dtype=torch.float64, device="meta")])
def test_players_that_live_in_different_places_are_told(z):
    class Apart(bilevel.MinimaxTask):
        def start(self, batch):
            return z

        def loss(self, batch, z):
            return (z * self.leader).sum()

    task = Apart(nn.Parameter(torch.ones(2, dtype=torch.float64)))
    solver = Solver(task, torchopt.sgd(0.1), leader_optimizer=sgd(task.leader))
    with pytest.raises(TaskError, match=r"Apart\.start returned .* and the leader is torch.float64 on cpu.*must agree"):
        solver.step(None)


def test_a_state_of_another_play_is_refused():
    task = Living()
    solver = Solver(task, torchopt.sgd(0.1), leader_optimizer=sgd(task.leader))
    state = solver.state_dict()
    del state["play"]
    with pytest.raises(CheckpointError, match="belongs to another"):
        solver.load_state_dict(state)
