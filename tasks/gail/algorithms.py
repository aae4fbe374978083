"""What moves the policy: algorithms of stable-baselines3, by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import stable_baselines3
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import nn

from tasks.gail.environments import VectorEnvironment
from tasks.gail.standardise import Standardise
from tasks.gail.trust_region import TrustRegion
from tasks.names import look_up

if TYPE_CHECKING:
    from tasks.gail.config import GAILConfig

# stable-baselines3's own settings, and one kernel for all weights: they are small, and each call costs.
_ADAM: Final = {"optimizer_kwargs": {"eps": 1e-5, "fused": True}}


def make_algorithm(config: GAILConfig, environments: VectorEnvironment) -> OnPolicyAlgorithm:
    """Return the algorithm that ``config`` names, with a new policy; its first weights come from torch's generator.

    Raises:
        ConfigurationError: for an unknown algorithm.
    """
    make = look_up(_ALGORITHMS, config.algorithm, "algorithm")
    with warnings.catch_warnings():  # that the last batch of a pass may be smaller than the others
        warnings.filterwarnings("ignore", "You have specified a mini-batch size", UserWarning)
        return make(config, environments)


def _trpo(config: GAILConfig, environments: VectorEnvironment) -> OnPolicyAlgorithm:
    return TrustRegion(
        "MlpPolicy",
        environments,
        learning_rate=config.learning_rate or 1e-3,
        batch_size=min(config.batch_size, config.steps),
        cg_max_steps=config.cg_steps,
        cg_damping=config.damping,
        n_critic_updates=config.passes,
        target_kl=config.kl,
        **_common(config, **_ADAM),
    )


def _ppo(config: GAILConfig, environments: VectorEnvironment) -> OnPolicyAlgorithm:
    return stable_baselines3.PPO(
        "MlpPolicy",
        environments,
        learning_rate=config.learning_rate or 3e-4,
        batch_size=min(config.batch_size, config.steps),
        n_epochs=config.passes,
        ent_coef=config.policy_entropy,
        **_common(config, **_ADAM),
    )


def _a2c(config: GAILConfig, environments: VectorEnvironment) -> OnPolicyAlgorithm:
    return stable_baselines3.A2C(
        "MlpPolicy",
        environments,
        learning_rate=config.learning_rate or 7e-4,
        ent_coef=config.policy_entropy,
        **_common(config),
    )


def _common(config: GAILConfig, **optimizer: Any) -> dict[str, Any]:
    hidden = list(config.policy_hidden)
    policy: dict[str, Any] = {"net_arch": {"pi": hidden, "vf": hidden}, "activation_fn": nn.Tanh, **optimizer}
    if config.standardise:
        policy["features_extractor_class"] = Standardise
    return {
        "n_steps": config.steps // config.environments,
        "gamma": config.gamma,
        "gae_lambda": config.gae_lambda,
        "policy_kwargs": policy,
        "device": "cpu",
    }


_ALGORITHMS: dict[str, Callable[[GAILConfig, VectorEnvironment], OnPolicyAlgorithm]] = {
    "trpo": _trpo,
    "ppo": _ppo,
    "a2c": _a2c,
}
