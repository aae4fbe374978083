from __future__ import annotations

import pytest
import torch
import torchopt
from hypothesis import given
from hypothesis import strategies as st
from problems import Bilinear, LinearRule, Saddle, sgd

from bilevel import ConfigurationError, FollowerFirst, LeaderFirst, Simultaneous, Solver


def bilinear(seed, step, play):
    draw = torch.Generator().manual_seed(seed)
    m = torch.randn(2, 3, generator=draw, dtype=torch.float64)
    x, y = (torch.randn(n, generator=draw, dtype=torch.float64) for n in (2, 3))
    task = Bilinear(m, x, y)
    return m, x, y, Solver(task, torchopt.sgd(step), leader_optimizer=sgd(task.leader, step), play=play)


def by_hand(order, m, x, y, *, step, updates):
    if order == "simultaneous":
        return x - step * m @ y, y + step * m.T @ x
    if order == "leader first":
        x = x - step * m @ y
    for _ in range(updates):
        y = y + step * m.T @ x
    return (x - step * m @ y if order == "follower first" else x), y


@pytest.mark.parametrize(
    ("order", "play", "updates"),
    [
        ("simultaneous", Simultaneous(), 1),
        ("leader first", LeaderFirst(), 1),
        ("leader first", LeaderFirst(follower_updates=3), 3),
        ("follower first", FollowerFirst(), 1),
        ("follower first", FollowerFirst(follower_updates=2), 2),
    ],
)
@given(seed=st.integers(0, 1000), step=st.floats(1e-3, 0.5))
def test_a_follower_that_lives_on_follows_the_formula(order, play, updates, seed, step):
    m, x, y, solver = bilinear(seed, step, play)
    for _ in range(3):
        solver.step(None)
        x, y = by_hand(order, m, x, y, step=step, updates=updates)
    torch.testing.assert_close(solver.task.leader.detach(), x, rtol=0, atol=1e-12)
    torch.testing.assert_close(solver.answer, y, rtol=0, atol=1e-12)


def fresh(play):
    """One step of a zero-sum task whose follower starts anew, with a learned rule; rates 0.1 and 0.2."""
    task, rule = Saddle(), LinearRule(-0.3, 0.1)
    solver = Solver(
        task, rule, leader_optimizer=sgd(task.leader, 0.1), rule_optimizer=sgd(rule.parameters(), 0.2), play=play
    )
    record = solver.step(None)
    return task.leader.detach(), rule.a.item(), record


def expected(order, same_answer):
    """The same step written out with plain autograd."""
    task, rule = Saddle(), LinearRule(-0.3, 0.1)
    theta, phi = task.leader, [rule.a, rule.b]

    def answer():
        gradient = -(task.m.T @ theta - task.c).detach()  # of the follower's loss, at its start
        return task.c + rule.a * gradient + rule.b * task.c

    def move_theta(z):
        (g,) = torch.autograd.grad(task.loss(None, z.detach()), [theta])
        theta.data -= 0.1 * g

    def move_phi(z):
        for p, g in zip(phi, torch.autograd.grad(-task.loss(None, z), phi), strict=True):
            p.data -= 0.2 * g

    z = answer()
    if order == "simultaneous":
        (g,) = torch.autograd.grad(task.loss(None, z.detach()), [theta])
        move_phi(z)
        theta.data -= 0.1 * g
    elif order == "leader first":
        move_theta(z)
        move_phi(z if same_answer else answer())
    else:
        move_phi(z)
        move_theta(z if same_answer else answer())
    return theta.detach(), rule.a.item()


@pytest.mark.parametrize(
    ("play", "order", "same_answer"),
    [
        (Simultaneous(), "simultaneous", True),
        (LeaderFirst(), "leader first", False),
        (LeaderFirst(same_answer=True), "leader first", True),
        (FollowerFirst(), "follower first", False),
        (FollowerFirst(same_answer=True), "follower first", True),
    ],
)
def test_a_follower_that_starts_anew_follows_the_written_out_step(play, order, same_answer):
    theta, a, record = fresh(play)
    wanted_theta, wanted_a = expected(order, same_answer)
    torch.testing.assert_close(theta, wanted_theta, rtol=0, atol=1e-13)
    assert a == pytest.approx(wanted_a, abs=1e-13)
    assert {"leader_loss", "follower_loss", "leader_gradient_norm", "rule_gradient_norm"} <= record.values().keys()


def test_the_orders_differ():
    """Otherwise the test above could not tell them apart; only two orders are the same thing."""
    plays = {
        "simultaneous": Simultaneous(),
        "leader first": LeaderFirst(),
        "leader first, same answer": LeaderFirst(same_answer=True),
        "follower first": FollowerFirst(),
        "follower first, same answer": FollowerFirst(same_answer=True),
    }
    reached = {name: (theta.sum().item(), a) for name, (theta, a, _) in ((n, fresh(p)) for n, p in plays.items())}
    assert reached.pop("follower first, same answer") == pytest.approx(reached["simultaneous"], abs=1e-13)
    assert len({(round(theta, 10), round(a, 10)) for theta, a in reached.values()}) == len(reached)


@pytest.mark.parametrize("play", [LeaderFirst, FollowerFirst])
@pytest.mark.parametrize("updates", [0, -1])
def test_no_follower_updates_are_refused(play, updates):
    with pytest.raises(ConfigurationError, match="follower_updates must be a whole number from 1"):
        play(follower_updates=updates)
