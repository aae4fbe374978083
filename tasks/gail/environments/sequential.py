"""Environments of gymnasium, moved one after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from bilevel.errors import ConfigurationError
from tasks.gail.environments.base import VectorEnvironment, require_state_of
from tasks.gail.environments.replay import Replayed


@final
class Sequential(VectorEnvironment):
    """Environments of gymnasium in this process, one after another.

    Args:
        build: makes one of them.
        count: how many.
        seed: environment i is seeded with ``seed + i``.
        name: what they are, by which a kept state is known again.
        horizon: the steps of an episode, if that is fixed; ``build`` sees to it.
    """

    def __init__(
        self,
        build: Callable[[], gymnasium.Env[Any, Any]],
        count: int,
        *,
        seed: int,
        name: str,
        horizon: int | None = None,
    ) -> None:
        self.environments = [Replayed(build()) for _ in range(count)]
        self.name = name
        self.horizon = horizon
        one = self.environments[0]
        super().__init__(count, one.observation_space, one.action_space, seed=seed)
        self._elapsed = np.zeros(count, np.int64)
        self._returns = np.zeros(count)
        self._actions = np.empty(0)

    @property
    def observations(self) -> np.ndarray:
        """The observations that the next actions answer, of shape (count, numbers)."""
        return np.stack([one.observation for one in self.environments])

    def reset(self) -> np.ndarray:
        """Begin an episode in every environment."""
        for i, (one, seed, options) in enumerate(zip(self.environments, self._seeds, self._options, strict=True)):
            _, self.reset_infos[i] = one.reset(seed=seed, options=options or None)
        self._reset_seeds()
        self._reset_options()
        self._elapsed[:], self._returns[:] = 0, 0.0
        return self.observations

    def step_async(self, actions: np.ndarray) -> None:
        """Take the actions of the next step."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Take the step; episodes that end are followed by new ones."""
        rewards, dones = np.empty(self.num_envs, np.float32), np.empty(self.num_envs, np.bool_)
        infos: list[dict[str, Any]] = []
        self._elapsed += 1
        for i, (one, action) in enumerate(zip(self.environments, self._actions, strict=True)):
            seen, reward, terminated, truncated, info = one.step(action)
            self._returns[i] += float(reward)
            rewards[i], dones[i] = reward, terminated or truncated
            infos.append({**info, "TimeLimit.truncated": bool(truncated and not terminated)})
            if dones[i]:
                episode = {"r": float(self._returns[i]), "l": int(self._elapsed[i])}
                infos[i] |= {"terminal_observation": seen, "episode": episode}
                _, self.reset_infos[i] = one.reset()
                self._elapsed[i], self._returns[i] = 0, 0.0
        return self.observations, rewards, dones, infos

    def state_dict(self) -> dict[str, Any]:
        """Return how all environments came to where they are, as tensors and plain Python values."""
        if not all(one.begun for one in self.environments):
            raise ConfigurationError("Environments have no state before the first reset().")
        return {
            **self._identity(),
            "seeds": list(self._seeds),
            "elapsed": torch.from_numpy(self._elapsed.copy()),
            "returns": torch.from_numpy(self._returns.copy()),
            "environments": [one.state_dict() for one in self.environments],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that `state_dict` returned, by playing the episodes again up to where they were."""
        require_state_of(state, **self._identity())
        self._seeds = list(state["seeds"])
        self._elapsed, self._returns = state["elapsed"].numpy().copy(), state["returns"].numpy().copy()
        for one, its in zip(self.environments, state["environments"], strict=True):
            one.load_state_dict(its)

    def _identity(self) -> dict[str, Any]:
        return {"name": self.name, "count": self.num_envs, "horizon": self.horizon, "vectorised": False}

    def close(self) -> None:
        """Let go of what the environments hold."""
        for one in self.environments:
            one.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of each environment, or of what it wraps."""
        return [self.environments[i].get_wrapper_attr(attr_name) for i in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of environments, where it is or else on the outermost."""
        for i in self._get_indices(indices):
            self.environments[i].set_wrapper_attr(attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Call a method of each environment, or of what it wraps."""
        return [method(*args, **kwargs) for method in self.get_attr(method_name, indices)]

    def get_images(self) -> list[Any]:
        """Return a picture of each environment, if it draws any."""
        return [one.render() for one in self.environments]
