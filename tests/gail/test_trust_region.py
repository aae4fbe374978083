"""Our TRPO is that of sb3-contrib, and its products are those of the divergence's Hessian."""

from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from sb3_contrib import TRPO
from stable_baselines3.common.distributions import kl_divergence
from stable_baselines3.common.logger import Logger
from torch import nn

from bilevel.vector import join
from tasks.gail.environments import make
from tasks.gail.fisher import PerceptronFisher
from tasks.gail.rollouts import Collector
from tasks.gail.standardise import Standardise
from tasks.gail.trust_region import TrustRegion
from tasks.gail.value_fit import _write_gradients as write_gradients

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


def algorithm(kind, name, activation="tanh", **policy):
    torch.manual_seed(0)
    environments = make(name, count=4, seed=0)
    policy |= {"net_arch": {"pi": [8, 7], "vf": [8]}, "activation_fn": ACTIVATIONS[activation]}
    made = kind("MlpPolicy", environments, n_steps=32, cg_max_steps=10, policy_kwargs=policy, device="cpu")
    made.set_logger(Logger(None, []))
    return made


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1"])
def test_products_are_those_of_the_divergences_hessian(name, activation):
    policy = algorithm(TRPO, name, activation).policy.double()
    with torch.no_grad():
        policy.action_net.weight.mul_(100)  # away from even probabilities
    seen = torch.randn(20, *policy.observation_space.shape, dtype=torch.float64)
    fisher = PerceptronFisher(policy, seen)

    def distribution():  # the policy's own method would make single precision of the observations
        return copy.copy(policy._get_action_dist_from_latent(policy.mlp_extractor.forward_actor(seen)))

    with torch.no_grad():
        old = distribution()
    slope = torch.autograd.grad(kl_divergence(distribution(), old).mean(), fisher.parameters, create_graph=True)
    vector = torch.randn(sum(p.numel() for p in fisher.parameters), dtype=torch.float64)
    exact = torch.autograd.grad(join(slope) @ vector, fisher.parameters)
    assert exact[0].abs().max() > 1e-4
    torch.testing.assert_close(fisher(vector), join(exact), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("policy", [{}, {"features_extractor_class": Standardise}], ids=["plain", "standardised"])
@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1"])
def test_an_update_is_sb3_contribs(name, policy):
    theirs, ours = algorithm(TRPO, name, **policy), algorithm(TrustRegion, name, **policy)
    rollout = Collector(theirs, theirs.env, np.random.default_rng(0)).collect()
    buffer = theirs.rollout_buffer
    buffer.rewards[:] = np.random.default_rng(1).normal(size=buffer.rewards.shape)
    buffer.compute_returns_and_advantage(rollout.last_values, rollout.last_done)
    ours.rollout_buffer = copy.deepcopy(buffer)
    before = [p.detach().clone() for p in theirs.policy.parameters()]
    for one in (theirs, ours):
        np.random.seed(0)  # noqa: NPY002 (theirs)
        torch.manual_seed(0)
        one.train()
        assert one.logger.name_to_value["train/is_line_search_success"] == 1
    for old, a, b in zip(before, theirs.policy.parameters(), ours.policy.parameters(), strict=True):
        assert not torch.equal(old, a)
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("hidden", [[], [8], [8, 7]])
def test_gradients_of_the_value_function_are_autograds(hidden):
    layers = [nn.Linear(a, b).double() for a, b in pairwise([5, *hidden, 1])]
    seen, wanted = torch.randn(11, 5, dtype=torch.float64), torch.randn(11, dtype=torch.float64)
    values = seen
    for number, layer in enumerate(layers):
        values = layer(values.tanh() if number else values)
    loss = nn.functional.mse_loss(values.flatten(), wanted)
    weights = [p for layer in layers for p in layer.parameters()]
    exact = torch.autograd.grad(loss, weights)
    with torch.no_grad():
        assert float(write_gradients(layers, seen, wanted)) == pytest.approx(float(loss), rel=1e-12)
    for p, gradient in zip(weights, exact, strict=True):
        torch.testing.assert_close(p.grad, gradient, rtol=1e-12, atol=1e-14)


class Doubled(Standardise.__bases__[0]):
    """Shows the policy twice what there is."""

    def __init__(self, space):
        super().__init__(space, 4)

    def forward(self, observations):
        return 2 * observations


@pytest.mark.parametrize("policy", [{"features_extractor_class": Doubled}, {"share_features_extractor": False}])
def test_a_policy_that_is_no_perceptron_is_moved_by_sb3_contribs_own_code(policy):
    theirs, ours = (algorithm(kind, "CartPole-v1", **policy) for kind in (TRPO, TrustRegion))
    rollout = Collector(theirs, theirs.env, np.random.default_rng(0)).collect()
    theirs.rollout_buffer.rewards[:] = np.random.default_rng(1).normal(size=theirs.rollout_buffer.rewards.shape)
    theirs.rollout_buffer.compute_returns_and_advantage(rollout.last_values, rollout.last_done)
    ours.rollout_buffer = copy.deepcopy(theirs.rollout_buffer)
    for one in (theirs, ours):
        np.random.seed(0)  # noqa: NPY002 (theirs)
        torch.manual_seed(0)
        one.train()
    assert all(map(torch.equal, theirs.policy.parameters(), ours.policy.parameters()))
