"""Observations on a common scale, as a part of the policy."""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float
from stable_baselines3.common.preprocessing import get_flattened_obs_dim
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor


@final
class Standardise(BaseFeaturesExtractor):
    r"""Let the policy see each observation relative to all that it has met.

    $$x = \mathrm{clip}\big((s - \mu) / \sqrt{v + 10^{-8}},\ -c,\ c\big)$$

    Mean μ and variance v are buffers of the policy, so that a saved policy has them. They change by `observe` alone:
    not within a rollout, nor between a rollout and the update that is made of it.

    Args:
        observation_space: the observations, of any shape; they are flattened.
        clip: c.
    """

    def __init__(self, observation_space: spaces.Space[np.ndarray], clip: float = 10.0) -> None:
        size = get_flattened_obs_dim(observation_space)
        super().__init__(observation_space, size)
        self.clip = clip
        self.mean: Tensor
        self.variance: Tensor
        self.count: Tensor
        self.register_buffer("mean", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(size, dtype=torch.float64))
        self.register_buffer("count", torch.tensor(1e-4, dtype=torch.float64))

    def forward(self, observations: Float[Tensor, "n *shape"]) -> Float[Tensor, "n size"]:
        """Return the observations on the common scale."""
        flat = observations.flatten(1)
        shift, scale = self.affine
        return ((flat - shift) * scale).clamp(-self.clip, self.clip)

    @property
    def affine(self) -> tuple[Float[Tensor, " size"], Float[Tensor, " size"]]:
        """μ, and 1/√(v + 10⁻⁸)."""
        return self.mean.float(), (self.variance + 1e-8).rsqrt().float()

    def observe(self, observations: Float[Tensor, "n size"]) -> None:
        """Let the observations of a rollout count from now on."""
        known = RunningMeanStd(shape=tuple(self.mean.shape))
        known.mean, known.var, known.count = self.mean.numpy(), self.variance.numpy(), float(self.count)
        known.update(observations.double().numpy())
        self.mean.copy_(torch.from_numpy(known.mean))
        self.variance.copy_(torch.from_numpy(known.var))
        self.count.fill_(known.count)
