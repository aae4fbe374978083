"""What a configuration of imitation may hold, said in the user's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bilevel.errors import ConfigurationError
from tasks.gail.learned_updaters import LEARNED
from tasks.gail.rewards import REWARDS
from tasks.gail.written_updaters import WRITTEN
from tasks.names import look_up
from tasks.settings import check_types

if TYPE_CHECKING:
    from tasks.gail.config import GAILConfig

METHODS: Final = {
    "gail": "the discriminator is moved by a rule that is written by hand",
    "l2l": "it is moved by a rule that learns",
    "base": "it is moved by the base step of that rule alone, with nothing learned added",
    "frozen": "it stays at one half, so that all rewards are the same: what the reward's sign alone teaches",
}
"""The methods by name; the last two are controls."""

ALGORITHMS: Final = ("trpo", "ppo", "a2c")

_POSITIVE: Final = (
    "horizon", "trajectories", "expert_batch", "discriminator_steps", "unroll", "kl", "cg_steps", "learning_rate",
    "batch_size", "passes", "environments", "steps", "iterations", "evaluate_every", "evaluation_episodes", "threads",
)  # fmt: skip
_NOT_NEGATIVE: Final = ("entropy_bonus", "gradient_penalty", "damping", "policy_entropy")
_SHARES: Final = ("gamma", "gae_lambda")


def check(config: GAILConfig) -> None:
    """Raise unless a configuration can be worked with.

    Raises:
        ConfigurationError: for a value out of range or an unknown name, listing the known ones.
    """
    check_types(config)
    look_up(METHODS, config.method, "method")
    look_up(REWARDS, config.reward, "form of the reward")
    look_up(dict.fromkeys(ALGORITHMS), config.algorithm, "algorithm")
    _check_ranges(config)
    _check_steps(config)
    name = config.updater_settings.name
    if config.method != "frozen" and config.learns != (name in LEARNED):
        raise ConfigurationError(
            f"The updater {name} {'is written by hand' if config.learns else 'learns'}, which the method "
            f"{config.method} does not take. Choose one of {', '.join(LEARNED if config.learns else WRITTEN)}, or "
            "another method."
        )
    if config.method == "l2l" and config.unroll > 1 and not LEARNED[name].unrolls:
        raise ConfigurationError(
            f"The updater {name} makes one update a move, got unroll={config.unroll}: its gradients are products of "
            "two vectors after one update only. Leave unroll at 1, or choose another updater."
        )


def _check_ranges(config: GAILConfig) -> None:
    for name in _POSITIVE:
        value = getattr(config, name)
        if value is not None and not value > 0:
            raise ConfigurationError(f"{name} must be above 0, got {value}.")
    for name in _NOT_NEGATIVE:
        if getattr(config, name) < 0:
            raise ConfigurationError(f"{name} must be at least 0, got {getattr(config, name)}.")
    for name in _SHARES:
        if not 0 <= getattr(config, name) <= 1:
            raise ConfigurationError(f"{name} must lie in [0, 1], got {getattr(config, name)}.")
    if any(units < 1 for units in (*config.hidden, *config.policy_hidden)):
        raise ConfigurationError(
            f"Hidden layers must have units, got hidden={list(config.hidden)} and "
            f"policy_hidden={list(config.policy_hidden)}."
        )
    if not 0 <= config.seed < 10_000:
        raise ConfigurationError(f"seed must be a number from 0 to 9,999, got {config.seed}.")


def _check_steps(config: GAILConfig) -> None:
    if config.environments > config.steps:
        raise ConfigurationError(
            f"environments={config.environments} is more than the steps={config.steps} of an iteration, of which each "
            "takes at least one: use fewer environments or more steps."
        )
    if config.steps % config.environments:
        raise ConfigurationError(
            f"steps must be a multiple of environments, got {config.steps} and {config.environments}."
        )
    if config.algorithm == "ppo" and config.batch_size < 2:
        raise ConfigurationError(
            f"batch_size must be at least 2 with ppo, got {config.batch_size}: it scales advantages by their spread."
        )
    if config.steps < 2:
        raise ConfigurationError("steps must be at least 2: the spread of a single advantage is not known.")
