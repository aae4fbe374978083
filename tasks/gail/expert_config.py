"""The configuration of an expert's training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from bilevel.errors import ConfigurationError
from tasks.settings import check_types

_SEEDS: Final = 1_000_000_000  # NumPy's go on to four times that, which leaves room for what is added to them


@final
@dataclass(frozen=True)
class ExpertConfig:
    """Train an expert by trust-region policy optimization on the true rewards, and record what it does.

    Raises:
        ConfigurationError: for a value out of range.
    """

    env: str = "CartPole-v1"
    """The environment: any id of gymnasium. For CartPole-v1 and MountainCar-v0 the other settings begin with those of
    rl-baselines3-zoo."""

    steps: int = 100_000
    """The most environment steps."""

    environments: int = 2
    """How many environments stand side by side."""

    rollout: int = 512
    """Steps of each environment between two updates of the policy."""

    batch_size: int = 512
    """Steps that one update of the value function sees."""

    gamma: float = 0.99
    """γ, the discount."""

    gae_lambda: float = 0.98
    """λ of the estimated advantages."""

    learning_rate: float = 1e-3
    """The rate of the value function's Adam."""

    critic_updates: int = 20
    """How often the value function's Adam goes through a rollout."""

    kl: float = 0.01
    """The largest mean Kullback-Leibler divergence between two policies that follow one another."""

    cg_steps: int = 15
    """The most steps of conjugate gradient."""

    damping: float = 1e-3
    """What is added to the diagonal of the Fisher matrix."""

    hidden: tuple[int, ...] = (64, 64)
    """Units of the hidden layers, of the policy and of the value function."""

    normalise: bool = False
    """Whether observations and rewards are divided by their running standard deviations."""

    evaluate_every: int = 5_000
    """After so many steps the policy is evaluated; the best is the expert."""

    evaluation_episodes: int = 50
    """Episodes of an evaluation."""

    test_episodes: int = 100
    """Fresh episodes by which the expert is judged at the end."""

    trajectories: int = 10
    """How many trajectories are recorded."""

    subsample: int = 10
    """Of so many pairs of a trajectory one is kept."""

    horizons: tuple[int, ...] = ()
    """The fixed horizons for which demonstrations are recorded, beside those of the environment as it is."""

    deterministic: bool = False
    """Whether the expert takes its likeliest action, in place of drawing one as in its training."""

    seed: int = 0
    """What everything random depends on."""

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("steps", "environments", "rollout", "batch_size", "learning_rate", "critic_updates", "kl",
                     "cg_steps", "evaluate_every", "evaluation_episodes", "test_episodes", "trajectories",
                     "subsample"):  # fmt: skip
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name} must be above 0, got {getattr(self, name)}.")
        if self.damping < 0:
            raise ConfigurationError(f"damping must be at least 0, got {self.damping}.")
        if not 0 <= self.seed < _SEEDS:
            raise ConfigurationError(f"seed must be a number from 0 to {_SEEDS - 1:,}, got {self.seed}.")
        for name in ("gamma", "gae_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(f"{name} must be in [0, 1], got {getattr(self, name)}.")
        if any(size < 1 for size in (*self.hidden, *self.horizons)):
            raise ConfigurationError("hidden and horizons hold whole numbers from 1.")
        if self.rollout * self.environments < 2:
            raise ConfigurationError(
                f"An update needs two steps at least, got rollout={self.rollout} of {self.environments} environment."
            )
        if self.steps < self.rollout * self.environments:
            raise ConfigurationError(
                f"steps must be enough for one rollout, {self.rollout} steps in each of {self.environments} "
                f"environments; got {self.steps}."
            )


ZOO: dict[str, ExpertConfig] = {
    "CartPole-v1": ExpertConfig(),
    "MountainCar-v0": ExpertConfig(
        env="MountainCar-v0",
        steps=150_000,
        rollout=1024,
        batch_size=128,
        gae_lambda=0.95,
        damping=0.1,
        normalise=True,
        trajectories=5,
        subsample=5,
    ),
}
"""The settings of rl-baselines3-zoo (hyperparams/trpo.yml) by environment, with Ho and Ermon's subsampling."""
