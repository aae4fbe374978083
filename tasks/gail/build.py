"""The parts of imitation learning, from a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, final

import torch

import bilevel
from bilevel.errors import ConfigurationError
from bilevel.fit import Fitted
from bilevel.rules import Stay
from tasks.gail.algorithms import make_algorithm
from tasks.gail.batch import Halves, Whole
from tasks.gail.batches import RolloutBatches
from tasks.gail.config import GAILConfig
from tasks.gail.demonstrations import Demonstrations, read, shipped
from tasks.gail.discriminator import Discriminator
from tasks.gail.environments import VectorEnvironment, make
from tasks.gail.features import Features
from tasks.gail.learner import Learner
from tasks.gail.normaliser import RunningNorm
from tasks.gail.regularisers import EntropyBonus, GradientPenalty, Regulariser
from tasks.gail.rewards import REWARDS, Frozen
from tasks.gail.task import Imitation
from tasks.gail.updaters import UPDATERS, Moving, moving
from tasks.gail.weighting import AsTheyAre, SpectralNorm

STRIDE: Final = 100_000
"""Between the environments' seeds of one training and of that with the next seed."""


@final
@dataclass(frozen=True, eq=False)
class Training:
    """The parts of a training, and what came of it.

    Attributes:
        config: the settings.
        solver: both players.
        learner: what moves the policy.
        batches: an iteration each.
        demonstrations: of the expert.
        fitted: what the training was; ``None`` before it.
    """

    config: GAILConfig
    solver: bilevel.Solver[Any]
    learner: Learner
    batches: RolloutBatches
    demonstrations: Demonstrations
    fitted: Fitted | None = None

    @property
    def policy(self) -> Any:
        """The policy, which acts by ``predict``."""
        return self.learner.algorithm.policy


def environments_for(config: GAILConfig, *, count: int, seed: int) -> VectorEnvironment:
    """Return environments as ``config`` names them.

    Raises:
        ConfigurationError: for an unknown environment, listing the nearest names.
    """
    return make(config.env, count=count, seed=seed, horizon=config.horizon, vectorised=config.vectorised)


def demonstrations_for(config: GAILConfig) -> Demonstrations:
    """Return the demonstrations that ``config`` names.

    Raises:
        ConfigurationError: if there are none, or not so many.
    """
    if config.demonstrations is None:
        found = shipped(config.env, config.horizon)
    else:
        found = read(config.demonstrations, config.env, horizon=config.horizon)
    return found if config.trajectories is None else found.take(config.trajectories)


def require_updater(config: GAILConfig) -> None:
    """Raise unless the discriminator's rule could be built; nothing is built for that but one environment.

    Raises:
        ConfigurationError: if there is not enough memory for it, or the environment is unknown.
    """
    environments = environments_for(config, count=1, seed=0)
    features = Features.of(environments.observation_space, environments.action_space)
    environments.close()
    settings = config.updater_settings
    UPDATERS[settings.name].check(settings, Discriminator(features.size, config.hidden))


def build(config: GAILConfig) -> Training:
    """Return all parts; the policy's first weights come from torch's generator, those of a rule from the seed.

    Raises:
        ConfigurationError: if something does not fit: an unknown environment, demonstrations of another one, not enough
            memory for the updater.
    """
    # Environment i is seeded with that plus i: no two seeds have an environment in common.
    environments = environments_for(config, count=config.environments, seed=STRIDE * config.seed)
    demonstrations = demonstrations_for(config)
    demonstrations.check(config.env, environments.observation_space, environments.action_space)
    demonstrations.check_horizon(config.horizon)
    features = Features.of(environments.observation_space, environments.action_space)
    expert = features.rows(demonstrations.observations, demonstrations.actions)
    if config.expert_batch is not None and config.expert_batch > len(expert):
        raise ConfigurationError(
            f"expert_batch is {config.expert_batch}, and the demonstrations have {len(expert)} pairs: take at most as "
            "many, or leave it out."
        )
    split = Halves() if config.fresh else Whole()
    split.require(config.steps, config.expert_batch or len(expert))
    discriminator = Discriminator(
        features.size, config.hidden, SpectralNorm() if config.spectral_norm else AsTheyAre(), config.seed
    )
    with torch.random.fork_rng(devices=[]):  # all else is the same whatever the rule draws
        torch.manual_seed(config.seed)
        moved = _moving(config, discriminator)
    algorithm = make_algorithm(config, environments)
    regularisers: list[Regulariser] = []
    if config.entropy_bonus:
        regularisers.append(EntropyBonus(config.entropy_bonus))
    if config.gradient_penalty:
        regularisers.append(GradientPenalty(config.gradient_penalty))
    task = Imitation(
        discriminator,
        leader=algorithm.policy,
        regularisers=regularisers,
        norm=RunningNorm(features.measured) if config.normalise else None,
        split=split,
    )
    reward = REWARDS[config.reward]
    if config.method == "frozen":
        reward = Frozen(reward)
    learner = Learner(
        algorithm,
        environments,
        lambda batch, z: reward(discriminator.logits(z, batch.policy)),
        iterations=config.iterations,
        seed=config.seed,
    )
    solver: bilevel.Solver[Any] = bilevel.Solver(
        task,
        moved.rule,
        steps=config.unroll,
        leader_optimizer=learner,
        rule_optimizer=moved.rule_optimizer,
        rule_loss=moved.rule_loss,
        play=bilevel.FollowerFirst(follower_updates=config.discriminator_steps),
    )
    batches = RolloutBatches(learner, task, features, expert, config.expert_batch)
    return Training(config, solver, learner, batches, demonstrations)


def _moving(config: GAILConfig, discriminator: Discriminator) -> Moving:
    if config.method == "frozen":
        return Moving(Stay(), None, None)
    settings = config.updater_settings
    if config.method == "base":
        return moving(settings.base, discriminator, name=f"base of {settings.name}")
    return moving(settings, discriminator)
