"""Gradients that several look at: what an optimizer does to .grad is nobody else's affair."""

from __future__ import annotations

import warnings

import pytest
import torch
import torchopt
from problems import LinearRule, Quadratic, Remembering, hypergradient_of, sgd
from torch import nn

import bilevel
from bilevel import ConfigurationError, FollowerFirst, LeaderFirst, Lookahead, Solver, TaskError


def clipping(parameters, lr=0.1):
    """Plain descent, the gradient clipped in place before each step, as users do it by a hook."""
    optimizer = torch.optim.SGD(parameters, lr=lr)

    def clip(optimizer, args, kwargs):
        nn.utils.clip_grad_norm_(parameters, 1.0)

    optimizer.register_step_pre_hook(clip)
    return optimizer


class Sum(bilevel.Task):
    """ℓ = ½|p + q + z - 3|²: autograd hands out one tensor as the gradient of p, q and z."""

    remembers = True
    seen = None

    def __init__(self):
        super().__init__([nn.Parameter(torch.tensor([1.0, 2.0], dtype=torch.float64)) for _ in range(2)])

    def start(self, batch):
        return torch.zeros(2, dtype=torch.float64)

    def follower_loss(self, batch, z):
        return z.square().sum()

    def leader_loss(self, batch, z):
        return 0.5 * (self.leader[0] + self.leader[1] + z - 3).square().sum()

    def remember(self, batch, answer, gradient):
        self.seen = gradient


@pytest.mark.parametrize(
    "make",
    [clipping, lambda ps: torch.optim.SGD(ps, lr=0.1, momentum=0.9, nesterov=True, foreach=True)],
    ids=["clipped", "nesterov"],
)
def test_an_optimizer_that_writes_into_the_gradient_disturbs_nobody(make):
    task, twin = Sum(), Sum()
    solver, optimizer = Solver(task, torchopt.sgd(0.1), leader_optimizer=make(task.leader)), make(twin.leader)
    for _ in range(3):
        loss = twin.leader_loss(None, torch.zeros(2, dtype=torch.float64))
        optimizer.zero_grad()
        loss.backward()
        slope = twin.leader[0].grad.clone()
        optimizer.step()
        record = solver.step(None)
        assert record.leader_gradient_norm.item() == pytest.approx(torch.cat([slope, slope]).norm().item(), rel=1e-12)
        torch.testing.assert_close(task.seen, slope, rtol=0, atol=1e-13)
        for p, wanted in zip(task.leader, twin.leader, strict=True):
            torch.testing.assert_close(p, wanted, rtol=0, atol=1e-13)


def test_an_expanded_gradient_can_be_clipped():
    class Total(Sum):
        def leader_loss(self, batch, z):
            return self.leader[0].sum() + self.leader[1].sum() + z.sum()

    task = Total()
    Solver(task, torchopt.sgd(0.1), leader_optimizer=clipping(task.leader)).step(None)
    assert task.leader[0].tolist() == pytest.approx([1 - 0.05, 2 - 0.05], abs=1e-6)


def test_a_start_that_shares_the_leaders_storage_stays_where_it_is_as_the_leader_moves():
    """φ's price on the step is that from the start as it was."""

    def gradient(copied):
        class Own(bilevel.Task):
            def start(self, batch):
                return self.leader.detach().clone() if copied else self.leader.detach()

            def follower_loss(self, batch, z):
                return 0.5 * (z - 2 * self.leader).square().sum()

            def leader_loss(self, batch, z):
                return (self.leader * z).sum()

        task, rule = Own(nn.Parameter(torch.ones(2, dtype=torch.float64))), LinearRule(-0.3)
        solver = Solver(
            task,
            rule,
            leader_optimizer=sgd(task.leader, 0.1),
            rule_optimizer=sgd(rule.parameters()),
            rule_loss=bilevel.Proximal(1.0),
            play=LeaderFirst(same_answer=True),
        )
        solver.step(None)
        return rule.a.item()

    assert gradient(copied=False) == gradient(copied=True) != -0.3


@pytest.mark.parametrize("answers", [1, 2, 4])
def test_what_a_task_remembers_is_the_slope_at_the_answer(answers):
    task = Remembering()
    hypergradient_of(task, bilevel.Unrolled(answers=answers), torchopt.sgd(0.1), 4)
    torch.testing.assert_close(task.seen[1], task.slopes_at(task.seen[0])[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", [bilevel.Direct(), bilevel.Unrolled(), bilevel.Checkpointed(), bilevel.Implicit()])
def test_a_projection_may_pin_a_part_of_the_answer(method):
    """At every move, so that this part has no graph to anything."""

    class Pinned(bilevel.Task):
        remembers = True
        seen = None

        def start(self, batch):
            return {"free": torch.ones(2, dtype=torch.float64), "pinned": torch.zeros(2, dtype=torch.float64)}

        def project(self, batch, z):
            return {"free": z["free"], "pinned": torch.ones(2, dtype=torch.float64)}

        def follower_loss(self, batch, z):
            return 0.5 * (z["free"] - self.leader * z["pinned"]).square().sum()

        def leader_loss(self, batch, z):
            return (z["free"] * z["pinned"]).sum() + self.leader.sum()

        def remember(self, batch, answer, gradient):
            self.seen = gradient

    task = Pinned(nn.Parameter(torch.full((2,), 3.0, dtype=torch.float64)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bilevel.SolverWarning)
        found = hypergradient_of(task, method, torchopt.sgd(0.5), 3)
    assert task.seen["free"].tolist() == [1.0, 1.0]
    if isinstance(method, bilevel.Unrolled | bilevel.Checkpointed):
        # From z_0 = 1 the first move sees the start's pinned part, 0, the later ones 1: dz_3/dθ = 1 - 1/4.
        assert found.tolist() == pytest.approx([1.75, 1.75], abs=1e-12)


class Constant(bilevel.Task):
    def start(self, batch):
        return torch.ones(2)

    def follower_loss(self, batch, z):
        return (z - self.leader).square().sum()

    def leader_loss(self, batch, z):
        return z.detach().sum()


@pytest.mark.parametrize(
    "method", [bilevel.Implicit(), bilevel.ValueFunction(10.0), bilevel.Unrolled(), bilevel.FiniteDifference()]
)
def test_a_leaders_loss_that_depends_on_neither_is_named_and_nobody_moves(method):
    task = Constant(nn.Parameter(torch.zeros(2)))
    solver = Solver(task, torchopt.sgd(0.1), steps=3, leader_optimizer=sgd(task.leader), hypergradient=method)
    with pytest.raises(TaskError, match=r"Constant\.leader_loss depends on no parameter.*neither itself nor through"):
        solver.step(None)
    assert task.leader.tolist() == [0.0, 0.0]


def test_to_a_truncated_unroll_the_start_is_a_constant():
    class Initial(Quadratic):
        def start(self, batch):
            return torch.cat([self.leader, self.leader[:1]])

    task = Initial()
    for terms in (2, 3):
        found = hypergradient_of(task, bilevel.Truncated(terms), torchopt.sgd(0.1), 3)
        start = torch.cat([task.leader, task.leader[:1]]).detach()
        z = task.solution + task.contraction(3, 0.1) @ (start - task.solution)
        torch.testing.assert_close(found, task.hypergradient(z, task.slope(terms, 0.1)), rtol=0, atol=1e-11)


@pytest.mark.parametrize("ball", [bilevel.linf_ball, bilevel.l2_ball])
def test_a_wide_ball_is_no_active_constraint(ball):
    class Inside(Quadratic):
        def project(self, batch, z):
            center = torch.full_like(z, 0.1)
            return ball(z[None], center=center[None], radius=50.0)[0]

    task = Inside()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for steps in (5, 400):
            found = hypergradient_of(task, bilevel.Implicit(), torchopt.sgd(0.3), steps)
    torch.testing.assert_close(found, task.exact, rtol=0, atol=1e-9)


@pytest.mark.parametrize("play", [Lookahead(FollowerFirst(), every=2), FollowerFirst(follower_updates=2)])
def test_followers_that_would_not_make_the_moves_of_the_play_are_refused(play):
    task = Quadratic()
    task.lives_on, task.episode = True, 4
    with pytest.raises(ConfigurationError, match="PersistentEvolutionStrategy lets followers of its own live on"):
        Solver(
            task,
            torchopt.sgd(0.1),
            leader_optimizer=sgd(task.leader),
            hypergradient=bilevel.PersistentEvolutionStrategy(0.1, 2),
            play=play,
        )


def test_a_parameter_that_is_frozen_later_is_named():
    task = Quadratic()
    solver = Solver(task, torchopt.sgd(0.1), leader_optimizer=sgd(task.leader))
    solver.step(None)
    task.leader.requires_grad_(False)
    with pytest.raises(ConfigurationError, match="was frozen"):
        solver.step(None)


def test_an_excursion_puts_back_what_an_optimizer_keeps_in_its_groups():
    class Halving(torch.optim.SGD):
        def step(self, closure=None):
            super().step(closure)
            self.param_groups[0]["lr"] /= 2

    task = Quadratic()
    task.lives_on = True
    optimizer = Halving([task.leader], lr=0.1)
    Solver(task, torchopt.sgd(0.1), leader_optimizer=optimizer, play=bilevel.Extragradient()).step(None)
    assert optimizer.param_groups[0]["lr"] == 0.05
