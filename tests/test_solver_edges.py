"""Where two things could be one tensor, where a part is frozen, and where something is lost without a word."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchopt
from problems import LinearRule, Saddle, Tracking, sgd
from torch import Tensor, nn

import bilevel
from bilevel import (
    CheckpointError,
    ConfigurationError,
    FollowerFirst,
    LeaderFirst,
    Simultaneous,
    Solver,
    SummedOverSteps,
    TaskError,
)

W = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)


class Constant(nn.Module):
    """update = a + b: autograd hands out one and the same tensor as both gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = (nn.Parameter(torch.zeros(3, dtype=torch.float64)) for _ in range(2))

    def init(self, params: Any) -> Any:
        return ()

    def update(self, grads: Any, state: Any, *, params: Any = None, inplace: bool = False) -> tuple[Any, Any]:
        return self.a + self.b, state


class Shared(bilevel.MinimaxTask):
    """l = w·(θ + z): the gradients in θ and in z are one tensor."""

    def __init__(self, *, remembers: bool = False) -> None:
        super().__init__(nn.Parameter(torch.zeros(3, dtype=torch.float64)))
        self.keeps = remembers
        self.seen: list[Tensor] = []

    remembers = property(lambda self: self.keeps)

    def remember(self, batch: Any, answer: Any, gradient: Any) -> None:
        self.seen.append(gradient)

    def start(self, batch: Any) -> Tensor:
        return torch.zeros(3, dtype=torch.float64)

    def loss(self, batch: Any, z: Tensor) -> Tensor:
        return (W * (self.leader + z)).sum()


@pytest.mark.parametrize("remembers", [False, True])
@pytest.mark.parametrize("play", [Simultaneous(), LeaderFirst(), FollowerFirst()])
def test_gradients_that_are_one_tensor_keep_their_signs(play, remembers):
    task, rule = Shared(remembers=remembers), Constant()
    Solver(task, rule, leader_optimizer=sgd(task.leader), rule_optimizer=sgd(rule.parameters()), play=play).step(None)
    assert task.leader.tolist() == [-1.0, -2.0, -3.0]  # down
    assert rule.a.tolist() == rule.b.tolist() == [1.0, 2.0, 3.0]  # up
    assert [g.tolist() for g in task.seen] == ([[1.0, 2.0, 3.0]] if remembers else [])


def test_a_living_follower_does_not_share_its_place_with_the_leader():
    class Twin(bilevel.MinimaxTask):
        def start(self, batch):
            return self.leader

        def loss(self, batch, z):
            return self.leader @ z

    leader = nn.Parameter(torch.ones(2, dtype=torch.float64))
    solver = Solver(
        Twin(leader, lives_on=True), torchopt.sgd(0.1), leader_optimizer=sgd(leader, 0.5), play=LeaderFirst()
    )
    solver.step(None)
    assert leader.tolist() == [0.5, 0.5]
    assert solver.answer.tolist() == [1.05, 1.05]


@pytest.mark.parametrize("play", [Simultaneous(), LeaderFirst(), FollowerFirst()])
def test_a_rule_that_cannot_learn_is_named(play):
    class Cut(Saddle):
        def project(self, batch, z):
            return z.detach()

    task, rule = Cut(), LinearRule()
    solver = Solver(
        task, rule, leader_optimizer=sgd(task.leader, 0.1), rule_optimizer=sgd(rule.parameters()), play=play
    )
    with pytest.raises(TaskError, match="does not depend on any parameter of the rule LinearRule"):
        solver.step(None)


def test_frozen_layers_of_a_leader_stay():
    class Fit(bilevel.MinimaxTask):
        def start(self, batch):
            return torch.ones(2)

        def loss(self, batch, z):
            return self.leader(z).square().sum()

    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    before = [p.clone() for p in model.parameters()]
    Solver(Fit(model), torchopt.sgd(0.1), leader_optimizer=sgd(model.parameters(), 0.1)).step(None)
    moved = [not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True)]
    assert moved == [False, False, True, True]
    assert not model[0].weight.requires_grad
    model.requires_grad_(False)
    with pytest.raises(ConfigurationError, match="all of them are frozen"):
        Solver(Fit(model), torchopt.sgd(0.1), leader_optimizer=sgd(model.parameters(), 0.1))


def test_an_optimizer_that_holds_strangers_is_refused():
    task, other = Saddle(), nn.Parameter(torch.ones(1))
    with pytest.raises(
        ConfigurationError, match="leader_optimizer holds 1 parameters that do not belong to the leader"
    ):
        Solver(task, torchopt.sgd(0.1), leader_optimizer=sgd([task.leader, other]))


def test_a_loss_over_all_steps_needs_a_rule_that_sees():
    rule = Constant()
    rule.sees_gradient = False
    task = Shared()
    with pytest.raises(ConfigurationError, match="SummedOverSteps is made of the gradients that feed the rule"):
        Solver(
            task,
            rule,
            leader_optimizer=sgd(task.leader),
            rule_optimizer=sgd(rule.parameters()),
            rule_loss=SummedOverSteps(),
        )


class Normed(LinearRule):
    """A rule with two batch norms, of which the user has put one into evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.moving, self.still = nn.BatchNorm1d(1).double(), nn.BatchNorm1d(1).double().eval()

    def update(self, grads: Any, state: Any, *, params: Any = None, inplace: bool = False) -> tuple[Any, Any]:
        seen = self.still(self.moving(grads[:, None]))[:, 0]
        return self.a * seen, state


def test_modes_of_a_rule_are_left_as_they_were():
    task, rule = Saddle(), Normed()
    Solver(
        task,
        rule,
        leader_optimizer=sgd(task.leader, 0.1),
        rule_optimizer=sgd(rule.parameters(), 0.1),
        play=LeaderFirst(),
    ).step(None)
    assert rule.training
    assert rule.moving.training
    assert not rule.still.training
    assert (rule.moving.num_batches_tracked, rule.still.num_batches_tracked) == (1, 0)


@pytest.mark.parametrize("play", [Simultaneous(), LeaderFirst(), LeaderFirst(same_answer=True)])
def test_a_rule_that_is_not_trained_only_answers(play):
    task, rule = Saddle(), Normed()
    rule.requires_grad_(False)
    Solver(task, rule, leader_optimizer=sgd(task.leader, 0.1), play=play).step(None)
    assert rule.moving.num_batches_tracked == 0
    assert rule.moving.training


@pytest.mark.parametrize(
    ("project", "message"),
    [
        (lambda z: None, "project returned a point of None"),
        (lambda z: z[:2], r"project returned a point of float64\[2\] for an iterate of float64\[3\]"),
        (lambda z: z.float(), r"project returned a point of float32\[3\] for an iterate of float64\[3\]"),
    ],
)
def test_a_projection_that_returns_something_else_is_named(project, message):
    class Off(Saddle):
        def project(self, batch, z):
            return project(z)

    task = Off()
    with pytest.raises(TaskError, match=message):
        Solver(task, torchopt.sgd(0.1), leader_optimizer=sgd(task.leader)).step(None)


def test_a_saved_place_of_another_shape_is_refused():
    def build(size, *, lives_on=True):
        task = Tracking(size=size)
        task.lives_on = lives_on
        return Solver(task, torchopt.adam(0.1), leader_optimizer=sgd(task.leader, 0.0))

    saved = build(3)
    saved.step(None)
    other = build(5)
    place = saved.state_dict()["follower"]
    other.follower.load_state_dict(place)
    with pytest.raises(CheckpointError, match=r"answer holds \['torch.float64 \(3,\)'\]"):
        other.step(None)
    with pytest.raises(CheckpointError, match="starts anew on each batch"):
        build(3, lives_on=False).load_state_dict(saved.state_dict())


def test_inference_mode_is_named():
    task = Saddle()
    solver = Solver(task, torchopt.sgd(0.1), leader_optimizer=sgd(task.leader))
    with torch.inference_mode(), pytest.raises(TaskError, match="inference_mode"):
        solver.step(None)
