"""Episodes of gymnasium's environments that all take the same time."""

from __future__ import annotations

from typing import Any, final

import gymnasium


@final
class FixedHorizon(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Let every episode take ``horizon`` steps, so that its length tells nothing.

    An environment that has ended stays where it is, with reward 0, whatever is done. The end of the horizon is a
    truncation, never a termination.

    Args:
        env: the environment, without a time limit of its own.
        horizon: the steps of an episode.

    Source: Kostrikov et al., Discriminator-Actor-Critic, 2019, on what an episode's end gives away.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], horizon: int) -> None:
        super().__init__(env)
        self.horizon = horizon
        self._elapsed = 0
        self._stays: Any = None
        self._over = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        self._elapsed, self._over = 0, False
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take a step, or stay."""
        self._elapsed += 1
        info: dict[str, Any] = {}
        reward = 0.0
        if not self._over:
            self._stays, given, ended, stopped, info = self.env.step(action)
            reward, self._over = float(given), bool(ended or stopped)
        return self._stays, reward, False, self._elapsed >= self.horizon, info
