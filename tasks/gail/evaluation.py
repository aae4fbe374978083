"""What a policy earns in fresh episodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from jaxtyping import Float

from bilevel.rng import RandomSources
from tasks.gail.build import STRIDE, Training, environments_for
from tasks.gail.config import GAILConfig
from tasks.gail.playing import Policy, evaluate

_OFFSET: Final = STRIDE // 2
"""Is added to the seed of the training's environments."""


@final
@dataclass(frozen=True)
class Uniform:
    """The policy that draws its actions evenly from all that there are.

    Args:
        space: the actions.
        draw: where they are drawn from.
    """

    space: Any
    draw: np.random.Generator

    def predict(self, observation: Any, *, deterministic: bool = False) -> tuple[Any, Any]:
        """Return an action for each observation, and nothing; what is seen makes no difference."""
        from gymnasium.spaces import Discrete

        count = len(observation)
        if isinstance(self.space, Discrete):
            return self.space.start + self.draw.integers(self.space.n, size=count), None
        low, high = self.space.low, self.space.high
        return self.draw.uniform(low, high, size=(count, *low.shape)).astype(self.space.dtype), None


def returns_of(
    policy: Policy | None, config: GAILConfig, *, episodes: int | None = None, deterministic: bool | None = None
) -> Float[np.ndarray, " episodes"]:
    """Return the returns of episodes that no training with this seed has met, always the same ones.

    Args:
        policy: who plays; ``None`` for one that draws its actions evenly.
        config: names the environment, the seed, and what the others leave out.
        episodes: how many episodes.
        deterministic: whether the policy takes its likeliest action.
    """
    episodes = config.evaluation_episodes if episodes is None else episodes
    seed = STRIDE * config.seed + _OFFSET
    with RandomSources().kept_aside():
        torch.manual_seed(seed)
        environments = environments_for(config, count=min(episodes, 32), seed=seed)
        player = policy or Uniform(environments.action_space, np.random.default_rng(seed))
        chosen = config.deterministic if deterministic is None else deterministic
        try:
            return evaluate(player, environments, episodes, deterministic=chosen)
        finally:
            environments.close()


@final
class Report:
    """The numbers of an iteration for the log, with those of fresh episodes where they are due.

    Args:
        training: whose iterations.
    """

    def __init__(self, training: Training) -> None:
        self.training = training

    def __call__(self) -> dict[str, float]:
        """Return them by name."""
        training, config = self.training, self.training.config
        numbers = dict(training.learner.numbers)
        if config.evaluate_every and training.solver.step_count % config.evaluate_every == 0:
            training.policy.set_training_mode(False)
            returns = returns_of(training.policy, config)
            numbers |= {"evaluation_return": float(returns.mean()), "evaluation_worst": float(returns.min())}
        return numbers
