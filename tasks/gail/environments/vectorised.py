"""Many environments of one kind, moved together by NumPy."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import torch
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from bilevel.errors import ConfigurationError
from tasks.gail.environments.base import VectorEnvironment, require_state_of
from tasks.gail.environments.dynamics import Dynamics
from tasks.gail.environments.generators import generator_from, generator_state

_ARRAYS = {"states": "_states", "elapsed": "_elapsed", "returns": "_returns", "over": "_over"}


@final
class Vectorised(VectorEnvironment):
    """Environments of one kind, each of which equals gymnasium's to the last bit.

    Each environment keeps a generator of its own, which is asked at the start of an episode only.

    Args:
        dynamics: what they are.
        count: how many of them.
        seed: environment i is seeded with ``seed + i``.
        horizon: every episode takes so many steps; one that has ended in itself stays where it is, with reward 0.
            ``None``: episodes end as gymnasium's do.
    """

    def __init__(self, dynamics: Dynamics, count: int, *, seed: int, horizon: int | None = None) -> None:
        self.dynamics = dynamics
        self.horizon = horizon
        super().__init__(count, dynamics.observation_space(), dynamics.action_space(), seed=seed)
        self._choices = int(dynamics.action_space().n)
        self._limit = dynamics.limit if horizon is None else horizon
        self._generators: list[np.random.Generator] = []
        self._states = np.empty((dynamics.observation_space().shape[0], count))
        self._elapsed = np.zeros(count, np.int64)
        self._returns = np.zeros(count)
        self._over = np.zeros(count, np.bool_)
        self._actions = np.zeros(count, np.int64)

    @property
    def observations(self) -> np.ndarray:
        """The observations that the next actions answer, of shape (count, numbers)."""
        return self._states.T.astype(np.float32, order="C")

    def reset(self) -> np.ndarray:
        """Begin an episode in every environment."""
        if any(self._options):
            raise ConfigurationError("Environments of NumPy have no options at reset; make them vectorised=False.")
        for i, seed in enumerate(self._seeds):
            if i == len(self._generators):
                self._generators.append(np.random.default_rng(seed))
            elif seed is not None:
                self._generators[i] = np.random.default_rng(seed)
            self._begin(i)
        self._reset_seeds()
        return self.observations

    def step_async(self, actions: np.ndarray) -> None:
        """Take the actions of the next step.

        Raises:
            ConfigurationError: if one is none of the environment's, or `reset` was not called.
        """
        if not self._generators:
            raise ConfigurationError("Call reset() before the first step.")
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs,) or actions.min() < 0 or actions.max() >= self._choices:
            raise ConfigurationError(
                f"{self.dynamics.name} takes {self.num_envs} actions from 0 to {self._choices - 1}, got {actions!r}."
            )
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Take the step; episodes that end are followed by new ones."""
        states, rewards, ended = self.dynamics.step(self._states, self._actions)
        self._elapsed += 1
        if self.horizon is not None:
            states = np.where(self._over, self._states, states)
            rewards = np.where(self._over, 0.0, rewards)
            self._over |= ended
            ended = np.zeros_like(ended)
        self._states = states
        self._returns += rewards
        done = ended | (self._elapsed >= self._limit)
        infos: list[dict[str, Any]] = [{"TimeLimit.truncated": False} for _ in range(self.num_envs)]
        seen = self.observations
        for i in done.nonzero()[0].tolist():
            infos[i] = {
                "TimeLimit.truncated": not ended[i],
                "terminal_observation": seen[i].copy(),
                "episode": {"r": float(self._returns[i]), "l": int(self._elapsed[i])},
            }
            self._begin(i)
            seen[i] = self._states[:, i]
        return seen, rewards.astype(np.float32), done, infos

    def _begin(self, i: int) -> None:
        self._states[:, i] = self.dynamics.first(self._generators[i])
        self._elapsed[i], self._returns[i], self._over[i] = 0, 0.0, False

    def state_dict(self) -> dict[str, Any]:
        """Return where all environments stand, as tensors and plain Python values."""
        if not self._generators:
            raise ConfigurationError("Environments have no state before the first reset().")
        arrays = {name: torch.from_numpy(getattr(self, place).copy()) for name, place in _ARRAYS.items()}
        generators = [generator_state(generator) for generator in self._generators]
        return {**self._identity(), "seeds": list(self._seeds), "generators": generators, **arrays}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that `state_dict` returned."""
        require_state_of(state, **self._identity())
        self._seeds = list(state["seeds"])
        self._generators = [generator_from(one) for one in state["generators"]]
        for name, place in _ARRAYS.items():
            setattr(self, place, state[name].numpy().copy())

    def _identity(self) -> dict[str, Any]:
        return {"name": self.dynamics.name, "count": self.num_envs, "horizon": self.horizon, "vectorised": True}

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of each environment; all share those of their dynamics."""
        return [getattr(self.dynamics, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Refuse: environments of NumPy have nothing that could be set for one of them."""
        raise ConfigurationError(f"{attr_name} cannot be set on environments of NumPy; make them vectorised=False.")

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Refuse: environments of NumPy are not objects of their own."""
        raise ConfigurationError(f"Environments of NumPy have no {method_name}(); make them vectorised=False.")
