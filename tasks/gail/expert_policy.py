"""A trained policy by itself: its weights, and the scale of what it sees."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float64

from bilevel.errors import ConfigurationError
from tasks.gail.environments import make
from tasks.gail.extra import rl_extra
from tasks.run_files import write_atomically

with rl_extra():
    from stable_baselines3.common.policies import ActorCriticPolicy
    from stable_baselines3.common.vec_env import VecEnv, VecNormalize

_EPSILON, _CLIP = 1e-8, 10.0  # those of VecNormalize
_FORMAT = "bilevel expert"


@final
class ExpertPolicy:
    r"""A policy that sees each observation relative to those of its training, if it was trained so.

    $$x = \mathrm{clip}\big((s - \mu) / \sqrt{v + 10^{-8}},\ -10,\ 10\big)$$

    Args:
        environment: gymnasium's id of where it was trained.
        policy: the policy of stable-baselines3.
        mean: μ.
        variance: v; ``None`` for both if observations are seen as they are.
    """

    def __init__(
        self,
        environment: str,
        policy: ActorCriticPolicy,
        mean: Float64[np.ndarray, " d"] | None = None,
        variance: Float64[np.ndarray, " d"] | None = None,
    ) -> None:
        self.environment = environment
        self.policy = policy
        self.mean, self.variance = mean, variance

    @classmethod
    def of(cls, environment: str, policy: ActorCriticPolicy, environments: VecEnv) -> ExpertPolicy:
        """Return a copy of a policy in training, with the scale that `VecNormalize` has come to.

        Args:
            environment: gymnasium's id.
            policy: the policy.
            environments: where it is trained.
        """
        policy = copy.deepcopy(policy)
        if not isinstance(environments, VecNormalize):
            return cls(environment, policy)
        scale: Any = environments.obs_rms
        return cls(environment, policy, scale.mean.copy(), scale.var.copy())

    @property
    def finite(self) -> bool:
        """Whether all numbers are."""
        numbers = [*self.policy.state_dict().values(), *map(torch.as_tensor, self._scale().values())]
        return all(bool(torch.isfinite(one).all()) for one in numbers)

    def predict(self, observation: Any, *, deterministic: bool = False) -> tuple[np.ndarray, None]:
        """Return actions for ``observation`` of shape (count, d); drawn by torch's generator unless deterministic."""
        if self.mean is not None and self.variance is not None:
            scaled = (observation - self.mean) / np.sqrt(self.variance + _EPSILON)
            observation = np.clip(scaled, -_CLIP, _CLIP).astype(np.float32)
        actions, _ = self.policy.predict(observation, deterministic=deterministic)
        return actions, None

    def save(self, path: str | Path) -> None:
        """Write it to a file that holds tensors and plain values only, whole or not at all.

        Raises:
            RunError: if it cannot be written.
        """
        scale = {name: torch.from_numpy(value) for name, value in self._scale().items()}
        about = {"format": _FORMAT, "environment": self.environment, "hidden": self.policy.net_arch}
        content = io.BytesIO()
        torch.save({**about, "weights": self.policy.state_dict(), **scale}, content)
        write_atomically(Path(path), content.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> ExpertPolicy:
        """Return the policy that `save` wrote.

        Raises:
            ConfigurationError: if there is no such file, or it holds something else.
        """
        path = Path(path)
        if not path.is_file():
            raise ConfigurationError(f"{path} is no file: name an expert that `bilevel train gail-expert` wrote.")
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            known = isinstance(state, dict) and state.get("format") == _FORMAT
        except Exception as error:  # whatever a file that is none makes the reader raise
            raise ConfigurationError(f"{path} is damaged or no expert: {error!s:.200}") from error
        if not known:
            raise ConfigurationError(f"{path} is not an expert that `bilevel train gail-expert` wrote.")
        environments = make(state["environment"], count=1, seed=0)
        policy = ActorCriticPolicy(
            environments.observation_space, environments.action_space, lambda _: 0.0, net_arch=state["hidden"]
        )
        policy.load_state_dict(state["weights"])
        environments.close()
        scale = {name: state[name].numpy() for name in ("mean", "variance") if name in state}
        return cls(state["environment"], policy, **scale)

    def _scale(self) -> dict[str, np.ndarray]:
        return {} if self.mean is None or self.variance is None else {"mean": self.mean, "variance": self.variance}
