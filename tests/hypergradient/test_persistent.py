from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchopt
from problems import LinearRule, Quadratic, sgd
from torch import nn

import bilevel
from bilevel import EvolutionStrategy, FollowerFirst, LeaderUpdate, PersistentEvolutionStrategy
from bilevel.leader import parameters_of

CLOSE = {"rtol": 1e-9, "atol": 1e-10}


class Watching(LeaderUpdate):
    """A leader that stands still and writes down its hypergradients."""

    def __init__(self):
        self.seen = []

    def parameters(self, leader):
        return parameters_of(leader)

    def update(self, batch, answer, gradient):
        self.seen.append([g for _, g in gradient])

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


class Chasing(bilevel.Task):
    """The follower chases Aθ, q = ½|z - Aθ|², for an episode; ℓ = b·z + ½|θ|², or with ``square`` ½|z|² more."""

    def __init__(self, size=3, episode=4, square=0.0):
        draw = torch.Generator().manual_seed(0)
        self.a = torch.randn(size, size, generator=draw, dtype=torch.float64)
        self.b, self.c, theta = torch.randn(3, size, generator=draw, dtype=torch.float64)
        self.square = square
        super().__init__(nn.Parameter(theta.clone()), lives_on=True, episode=episode)

    def start(self, batch):
        return self.c

    def follower_loss(self, batch, z):
        return 0.5 * (z - self.a @ self.leader).square().sum()

    def leader_loss(self, batch, z):
        return self.b @ z + 0.5 * self.leader.square().sum() + 0.5 * self.square * z.square().sum()


def watched(task, method, rule=None, *, steps=2, count=1):
    """Return the solver after ``count`` steps in which the leader stood still, and the hypergradients."""
    update = Watching()
    solver = bilevel.Solver(
        task,
        rule or torchopt.sgd(0.3),
        steps=steps,
        leader_optimizer=update,
        hypergradient=method,
        play=FollowerFirst(),
    )
    for _ in range(count):
        solver.step(None)
    return solver, [gradients[0] for gradients in update.seen]


@pytest.mark.parametrize("pairs", [1, 3])
@pytest.mark.parametrize("square", [0.0, 1.0])
def test_the_estimates_of_two_episodes_by_hand(square, pairs):
    """Every pair is a pair of closed forms: K gradient steps contract z - Aθ by (1 - h)^K."""
    task, sigma, contraction = Chasing(square=square), 0.2, 0.7**2
    torch.manual_seed(6)
    _, found = watched(task, PersistentEvolutionStrategy(sigma, pairs), count=8)
    torch.manual_seed(6)
    theta = task.leader.detach()
    for step, estimate in enumerate(found):
        if step % 4 == 0:
            z, xi = torch.stack([task.c] * 2 * pairs).reshape(pairs, 2, 3), torch.zeros(pairs, 3).double()
        e = torch.stack([torch.randn_like(theta) for _ in range(pairs)])
        xi = xi + sigma * e
        perturbed = theta + sigma * torch.stack([e, -e], dim=1)
        target = perturbed @ task.a.T
        z = target + contraction * (z - target)
        loss = z @ task.b + 0.5 * perturbed.square().sum(-1) + 0.5 * square * z.square().sum(-1)
        wanted = ((loss[:, 0] - loss[:, 1])[:, None] * xi).sum(0) / (2 * sigma**2 * pairs)
        torch.testing.assert_close(estimate, wanted, **CLOSE)


def test_over_an_episode_it_is_unbiased_and_the_plain_strategy_is_not():
    """In one dimension, z_t = rz_{t-1} + (1-r)θ and ℓ = z: the slope of Σ_t ℓ_t is Σ_t (1 - r^t); 5 standard errors."""
    script = Path(__file__).with_name("episode_estimates.py")  # apart: without the checks of annotations it is fast
    printed = subprocess.run([sys.executable, str(script)], check=True, capture_output=True, text=True).stdout
    found = json.loads(printed)
    exact, truncated = sum(1 - 0.5**t for t in range(1, 5)), 4 * 0.5
    (mean, error), (plain, plain_error) = found["PersistentEvolutionStrategy"], found["EvolutionStrategy"]
    assert abs(mean - exact) < 5 * error < abs(mean - truncated)
    assert abs(plain - truncated) < 5 * plain_error < abs(plain - exact)


def test_in_the_first_step_of_an_episode_it_is_the_plain_strategy():
    found = []
    for method in (PersistentEvolutionStrategy(0.1, 2), EvolutionStrategy(0.1, 2)):
        solver, _ = watched(Chasing(square=1.0), method, count=4)
        torch.manual_seed(2)
        solver.step(None)
        found.append(solver.leader_update.seen[-1][0])
    torch.testing.assert_close(*found, **CLOSE)


class Cut(Chasing):
    """The answer as a dict."""

    def start(self, batch):
        return {"a": self.c[:1], "rest": (self.c[1:],)}

    def follower_loss(self, batch, z):
        return super().follower_loss(batch, torch.cat([z["a"], z["rest"][0]]))

    def leader_loss(self, batch, z):
        return super().leader_loss(batch, torch.cat([z["a"], z["rest"][0]]))


def test_an_answer_of_several_tensors_and_a_rule_with_a_state():
    found = []
    for task in (Chasing(), Cut()):
        torch.manual_seed(2)
        found.append(watched(task, PersistentEvolutionStrategy(0.1, 2), torchopt.adam(0.1), count=6)[1])
    torch.testing.assert_close(*found, **CLOSE)


def test_a_leader_that_is_the_rule():
    """With the rule z ← z + a∇q + bz from z_0, the first step's L = b·z_1 is linear in φ."""

    class Learning(Chasing):
        def __init__(self):
            super().__init__()
            self.x, self.leader = self.leader.detach(), LinearRule(-0.2, 0.1)

        def follower_loss(self, batch, z):
            return 0.5 * (z - self.a @ self.x).square().sum()

        def leader_loss(self, batch, z):
            return self.b @ z

    task = Learning()
    update = Watching()
    solver = bilevel.Solver(
        task,
        task.leader,
        leader_optimizer=update,
        hypergradient=PersistentEvolutionStrategy(0.1, 1),
        play=FollowerFirst(),
    )
    torch.manual_seed(3)
    solver.step(None)
    torch.manual_seed(3)
    e = [torch.randn_like(p, requires_grad=False) for p in task.leader.parameters()]
    slope = [task.b @ (task.c - task.a @ task.x), task.b @ task.c]
    along = sum(a * b for a, b in zip(e, slope, strict=True))
    for found, direction in zip(update.seen[0], e, strict=True):
        torch.testing.assert_close(found, along * direction, **CLOSE)


def test_the_pairs_are_saved_and_taken_up_within_an_episode(tmp_path):
    method = PersistentEvolutionStrategy(0.1, 2)
    solver, _ = watched(Chasing(), method, torchopt.adam(0.1), count=2)
    torch.save(solver.state_dict(), tmp_path / "state.pt")
    other, _ = watched(Chasing(), method, torchopt.adam(0.1), count=0)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for one in (solver, other):
        torch.manual_seed(9)
        for _ in range(4):  # into the next episode
            one.step(None)
    torch.testing.assert_close(solver.leader_update.seen[2:], other.leader_update.seen, rtol=0, atol=0)


def test_the_leader_and_the_solvers_own_follower_are_not_disturbed():
    task = Chasing()
    before = task.leader.detach().clone()
    with_pairs, _ = watched(task, PersistentEvolutionStrategy(0.5, 2), count=3)
    alone, _ = watched(Chasing(), bilevel.Direct(), count=3)
    assert torch.equal(task.leader, before)
    assert torch.equal(with_pairs.answer, alone.answer)


def assert_refused(task, message, play=None):
    with pytest.raises(bilevel.ConfigurationError, match=message):
        bilevel.Solver(
            task,
            torchopt.sgd(0.1),
            leader_optimizer=sgd(task.leader),
            hypergradient=PersistentEvolutionStrategy(0.1, 1),
            play=play or FollowerFirst(),
        )


def test_who_cannot_use_it_is_told_so():
    assert_refused(Quadratic(), r"Quadratic lets it start anew.*lives_on=True")
    assert_refused(Chasing(episode=None), r"the follower of Chasing never begins anew.*episode=")
    assert_refused(Chasing(), "FollowerFirst", bilevel.Simultaneous())


@pytest.mark.parametrize(("sigma", "pairs", "name"), [(0.0, 1, "sigma"), (float("nan"), 1, "sigma"), (0.1, 0, "pairs")])
def test_settings_outside_their_range_are_refused(sigma, pairs, name):
    with pytest.raises(bilevel.ConfigurationError, match=f"PersistentEvolutionStrategy's {name} must be"):
        PersistentEvolutionStrategy(sigma, pairs)
