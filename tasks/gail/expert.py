"""Experts: policies that were trained on the true rewards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float64

from bilevel.errors import NonFiniteError
from bilevel.progress import Progress, Quiet
from bilevel.rng import RandomSources
from tasks.gail.environments import make
from tasks.gail.expert_config import ExpertConfig
from tasks.gail.expert_policy import ExpertPolicy
from tasks.gail.extra import rl_extra
from tasks.gail.playing import Played, evaluate, play

with rl_extra():
    from sb3_contrib import TRPO
    from stable_baselines3.common.vec_env import VecEnv, VecNormalize

__all__ = ["Evaluation", "Expert", "evaluate", "play", "train_expert"]

_EVALUATION, _TEST, _RECORD = 10_000, 20_000, 30_000
"""Are added to the seed: the episodes of training, evaluation, test and record are different ones."""


@final
@dataclass(frozen=True)
class Evaluation:
    """What a policy earned during its training.

    Attributes:
        steps: after so many environment steps.
        mean: the mean return.
        deviation: the standard deviation of the returns.
    """

    steps: int
    mean: float
    deviation: float


@final
@dataclass(frozen=True, eq=False)
class Expert:
    """The best policy of a training.

    Attributes:
        policy: it.
        best: the evaluation by which it was chosen.
        evaluations: all evaluations of the training.
        returns: of fresh episodes, by which it is to be judged: the evaluations are those it was chosen by.
        likeliest: of the same with its likeliest actions.
    """

    policy: ExpertPolicy
    best: Evaluation
    evaluations: tuple[Evaluation, ...]
    returns: Float64[np.ndarray, " episodes"]
    likeliest: Float64[np.ndarray, " episodes"]


def train_expert(
    config: ExpertConfig,
    progress: Progress | None = None,
    on_evaluation: Callable[[Evaluation, ExpertPolicy], object] | None = None,
) -> Expert:
    """Train a policy by sb3-contrib's TRPO, and keep the best of those that are evaluated on the way.

    The last policy need not be the best: on CartPole-v1 it falls back now and then.

    Args:
        config: the settings.
        progress: is told how it goes; a step of it is a rollout.
        on_evaluation: is told each evaluation, with the best policy so far.

    Returns:
        The expert. The caller's random numbers stay as they are.

    Raises:
        ConfigurationError: for an unknown environment, or one whose actions imitation cannot use.
        NonFiniteError: if the policy's weights are not finite.
    """
    progress = progress or Quiet()
    with RandomSources().kept_aside():
        return _train(config, progress, on_evaluation)


def record_expert(policy: ExpertPolicy, config: ExpertConfig, horizon: int | None) -> Played:
    """Return the trajectories that an expert demonstrates, all pairs of them.

    Args:
        policy: the expert.
        config: says how many, and of which environment.
        horizon: the steps of each episode if that is fixed.
    """
    with RandomSources().kept_aside():
        torch.manual_seed(config.seed + _RECORD)
        environments = make(config.env, count=config.trajectories, seed=config.seed + _RECORD, horizon=horizon)
        played = play(policy, environments, config.trajectories, deterministic=config.deterministic)
        environments.close()
        return played


def _train(
    config: ExpertConfig,
    progress: Progress,
    on_evaluation: Callable[[Evaluation, ExpertPolicy], object] | None,
) -> Expert:
    environments: VecEnv = make(config.env, count=config.environments, seed=config.seed)
    if config.normalise:
        environments = VecNormalize(environments, gamma=config.gamma)
    algorithm = _algorithm(config, environments)
    size = config.rollout * config.environments
    rollouts, every = config.steps // size, max(1, config.evaluate_every // size)
    evaluations: list[Evaluation] = []
    best: tuple[Evaluation, ExpertPolicy] | None = None
    progress.start(config.env, epochs=1, steps=rollouts, done=0)
    try:
        for rollout in range(1, rollouts + 1):
            algorithm.learn(size, reset_num_timesteps=rollout == 1)
            progress.advance(1)
            if rollout % every and rollout < rollouts:
                continue
            policy = ExpertPolicy.of(config.env, algorithm.policy, environments)
            _require_finite(policy, algorithm.num_timesteps)
            returns = _returns(policy, config, config.evaluation_episodes, _EVALUATION)
            evaluations.append(Evaluation(algorithm.num_timesteps, float(returns.mean()), float(returns.std())))
            if best is None or evaluations[-1].mean >= best[0].mean:  # of equals the one that trained longer
                best = evaluations[-1], policy
            progress.show({"return": evaluations[-1].mean, "best": best[0].mean})
            if on_evaluation is not None:
                on_evaluation(evaluations[-1], best[1])
    finally:
        progress.stop()
        environments.close()
    assert best is not None  # there is at least one rollout, and the last is evaluated
    returns = _returns(best[1], config, config.test_episodes, _TEST)
    likeliest = _returns(best[1], replace(config, deterministic=True), config.test_episodes, _TEST)
    return Expert(best[1], best[0], tuple(evaluations), returns, likeliest)


def _algorithm(config: ExpertConfig, environments: VecEnv) -> TRPO:
    return TRPO(
        "MlpPolicy",
        environments,
        learning_rate=config.learning_rate,
        n_steps=config.rollout,
        batch_size=config.batch_size,
        gamma=config.gamma,
        cg_max_steps=config.cg_steps,
        cg_damping=config.damping,
        n_critic_updates=config.critic_updates,
        gae_lambda=config.gae_lambda,
        target_kl=config.kl,
        policy_kwargs={"net_arch": list(config.hidden)},
        seed=config.seed,
        device="cpu",
    )


def _returns(policy: ExpertPolicy, config: ExpertConfig, episodes: int, offset: int) -> Any:
    """Return what a policy earns, always in the same episodes; the training's random numbers stay as they are."""
    with RandomSources().kept_aside():
        torch.manual_seed(config.seed + offset)
        environments = make(config.env, count=episodes, seed=config.seed + offset)
        returns = evaluate(policy, environments, episodes, deterministic=config.deterministic)
        environments.close()
        return returns


def _require_finite(policy: ExpertPolicy, steps: int) -> None:
    if not policy.finite:
        raise NonFiniteError(f"The expert's weights are not finite after {steps} steps: lower kl or learning_rate.")
