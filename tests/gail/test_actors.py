"""Actions are drawn as the policy draws them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sb3_contrib import TRPO
from torch import nn

from tasks.gail.actors import PerceptronActor, PolicyActor, actor_of
from tasks.gail.environments import make
from tasks.gail.standardise import Standardise


def policy_for(name, **settings):
    torch.manual_seed(0)
    environments = make(name, count=2, seed=0)
    settings = {"net_arch": {"pi": [16, 8], "vf": [4]}} | settings
    policy = TRPO("MlpPolicy", environments, n_steps=64, policy_kwargs=settings, device="cpu").policy
    with torch.no_grad():
        policy.action_net.weight.mul_(100)
    return policy


KINDS = {
    "tanh": {},
    "relu": {"activation_fn": nn.ReLU},
    "standardised": {"features_extractor_class": Standardise},
    "no hidden layer": {"net_arch": {"pi": [], "vf": []}},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1"])
def test_frequencies_and_moments_are_the_policys(name, kind):
    """Against the exact distribution of torch, within five standard errors."""
    policy, count = policy_for(name, **KINDS[kind]), 20_000
    if kind == "standardised":
        policy.features_extractor.observe(torch.randn(50, policy.observation_space.shape[0]) * 3 + 1)
    assert PerceptronActor.reads(policy)
    one = torch.tensor(policy.observation_space.sample())[None].clamp(-1, 1)
    draws = PerceptronActor(policy, steps=1, count=count, draw=np.random.default_rng(0)).act(
        one.expand(count, -1).numpy()
    )
    with torch.no_grad():
        exact = policy.get_distribution(one).distribution
    if name == "CartPole-v1":
        p = exact.probs[0].numpy()
        assert 0.01 < p[0] < 0.99
        shares = np.bincount(draws, minlength=2) / count
        assert shares == pytest.approx(p, abs=float(5 * np.sqrt(p[0] * p[1] / count)))
    else:
        mean, std = float(exact.mean), float(exact.stddev)
        assert draws.shape == (count, 1)
        assert draws.mean() == pytest.approx(mean, abs=5 * std / np.sqrt(count))
        assert draws.std() == pytest.approx(std, rel=5 / np.sqrt(2 * count))


def test_no_noise_is_used_twice():
    policy = policy_for("Pendulum-v1")
    actor = PerceptronActor(policy, steps=3, count=2, draw=np.random.default_rng(0))
    seen = np.zeros((2, 3), dtype=np.float32)
    assert len({float(value) for _ in range(3) for value in actor.act(seen).ravel()}) == 6
    with pytest.raises(IndexError):
        actor.act(seen)


def test_any_other_policy_draws_for_itself():
    policy = policy_for("CartPole-v1", activation_fn=nn.GELU)
    actor = actor_of(policy, steps=1, count=2, draw=np.random.default_rng(0))
    assert isinstance(actor, PolicyActor)
    seen = np.zeros((2, 4), dtype=np.float32)
    torch.manual_seed(3)
    drawn = actor.act(seen)
    torch.manual_seed(3)
    with torch.no_grad():
        expected = policy.get_distribution(torch.from_numpy(seen)).get_actions().numpy()
    assert np.array_equal(drawn, expected)
