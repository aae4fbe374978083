"""How a policy's actions are drawn, step after step of a rollout."""

from __future__ import annotations

import abc
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.distributions import CategoricalDistribution, DiagGaussianDistribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import FlattenExtractor, MlpExtractor
from torch import nn

from tasks.gail.standardise import Standardise


class Actor(abc.ABC):
    """Draws the actions of one rollout, within which the policy does not change.

    Their log-probabilities and the values of the states are computed afterwards, for all steps at one time.
    """

    @abc.abstractmethod
    def act(self, observations: NDArray[Any]) -> NDArray[Any]:
        """Return an action for each of the observations (count, ...), before any clipping."""


@final
class PolicyActor(Actor):
    """Asks the policy itself, whatever it is; the draws are those of torch's global generator.

    Args:
        policy: any actor-critic policy of stable-baselines3.
    """

    def __init__(self, policy: ActorCriticPolicy) -> None:
        self.policy = policy
        policy.set_training_mode(False)

    def act(self, observations: NDArray[Any]) -> NDArray[Any]:
        """Return the actions."""
        with torch.no_grad():
            seen, _ = self.policy.obs_to_tensor(observations)
            actions: NDArray[Any] = self.policy.get_distribution(seen).get_actions().cpu().numpy()
        return actions


@final
class PerceptronActor(Actor):
    r"""A perceptron's actions, computed in NumPy: for a few small observations torch's calls would cost the most.

    For discrete actions $a = \arg\max_k\, (\text{logit}_k + G_k)$ with Gumbel noise G, which has the policy's
    distribution; for continuous ones $a = \mu + \sigma \, N$ with Gaussian noise N. The noise of all steps is drawn at
    once.

    Args:
        policy: a policy for which `reads` holds.
        steps: how many times `act` will be called.
        count: for how many observations each time.
        draw: where the noise comes from.
    """

    def __init__(self, policy: ActorCriticPolicy, *, steps: int, count: int, draw: np.random.Generator) -> None:
        def plain(tensor: torch.Tensor) -> NDArray[np.float32]:
            return np.ascontiguousarray(tensor.detach().cpu().numpy())

        layers = [*policy.mlp_extractor.policy_net, policy.action_net]
        self._layers = [(plain(one.weight.T), plain(one.bias)) for one in layers if isinstance(one, nn.Linear)]
        self._rectified = any(isinstance(one, nn.ReLU) for one in layers)
        extractor = policy.pi_features_extractor
        self._scale = None
        if isinstance(extractor, Standardise):
            shift, scale = extractor.affine
            self._scale = plain(shift), plain(scale), extractor.clip
        shape = (steps, count, self._layers[-1][1].shape[0])
        self._discrete = isinstance(policy.action_dist, CategoricalDistribution)
        self._noise: NDArray[Any]
        if self._discrete:
            self._noise = draw.gumbel(size=shape)
        else:
            self._noise = draw.standard_normal(shape, dtype=np.float32) * plain(policy.log_std.exp())
        self._next = 0

    @staticmethod
    def reads(policy: ActorCriticPolicy) -> bool:
        """Whether ``policy`` is a perceptron with tanh or ReLU between its layers, drawing actions as said above."""
        if not policy.share_features_extractor:
            return False
        extractor, hidden = type(policy.pi_features_extractor), type(policy.mlp_extractor)
        if extractor not in (FlattenExtractor, Standardise) or hidden is not MlpExtractor or policy.squash_output:
            return False
        if type(policy.action_dist) not in (CategoricalDistribution, DiagGaussianDistribution):
            return False
        kinds = [type(one) for one in policy.mlp_extractor.policy_net]
        between = set(kinds[1::2])
        return set(kinds[::2]) <= {nn.Linear} and (between <= {nn.Tanh} or between <= {nn.ReLU})

    def act(self, observations: NDArray[Any]) -> NDArray[Any]:
        """Return the actions: whole numbers (count,), or (count, k)."""
        x = observations.reshape(len(observations), -1).astype(np.float32, copy=False)
        if self._scale is not None:
            shift, scale, clip = self._scale
            x = ((x - shift) * scale).clip(-clip, clip)
        *hidden, (last, bias) = self._layers
        for weight, offset in hidden:
            x = x @ weight
            x += offset
            x = np.maximum(x, 0.0, out=x) if self._rectified else np.tanh(x, out=x)
        out = x @ last + bias + self._noise[self._next]
        self._next += 1
        return np.asarray(out.argmax(axis=1) if self._discrete else out)


def actor_of(policy: ActorCriticPolicy, *, steps: int, count: int, draw: np.random.Generator) -> Actor:
    """Return the fastest actor for ``policy``; the arguments are those of `PerceptronActor`."""
    if PerceptronActor.reads(policy):
        return PerceptronActor(policy, steps=steps, count=count, draw=draw)
    return PolicyActor(policy)
