"""An environment of gymnasium that remembers how it came to where it is."""

from __future__ import annotations

from typing import Any, final

import gymnasium
import numpy as np
import torch

from bilevel.errors import ConfigurationError
from tasks.gail.environments.generators import generator_from, generator_state


@final
class Replayed(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Keep how the episode began and what was done since, which is the state of any environment that is reproducible.

    gymnasium's environments have no state that could be read. The generator at the last reset and the actions since
    lead to the same place, in as many steps as the episode is long.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self._start: dict[str, Any] | None = None
        self._actions: list[Any] = []
        self.observation: Any = None

    @property
    def begun(self) -> bool:
        """Whether there was a `reset`."""
        return self._start is not None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, and remember how."""
        generator = None if seed is not None else generator_state(self.unwrapped.np_random)
        self._start = {"seed": seed, "generator": generator, "options": options}
        self._actions = []
        self.observation, info = self.env.reset(seed=seed, options=options)
        return self.observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step, and remember the action."""
        self._actions.append(np.array(action))
        self.observation, reward, terminated, truncated, info = self.env.step(action)
        return self.observation, reward, terminated, truncated, info

    def state_dict(self) -> dict[str, Any]:
        """Return how the environment came to where it is, as tensors and plain Python values."""
        assert self._start is not None
        actions = torch.from_numpy(np.array(self._actions))
        return {**self._start, "actions": actions, "observation": torch.from_numpy(np.array(self.observation))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Begin as then, and do the same again.

        Raises:
            ConfigurationError: if that leads elsewhere.
        """
        if state["generator"] is not None:
            self.unwrapped.np_random = generator_from(state["generator"])
        self.reset(seed=state["seed"], options=state["options"])
        for action in state["actions"].numpy():
            self.step(action)
        if not np.array_equal(self.observation, state["observation"].numpy(), equal_nan=True):
            raise ConfigurationError(
                f"{self.spec.id if self.spec else self.env} did other things when its episode was played again: it "
                "draws random numbers beside env.np_random, or is another version. It cannot be gone on with."
            )
