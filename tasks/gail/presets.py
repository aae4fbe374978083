"""Configurations by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from tasks.gail.config import GAILConfig

CARTPOLE: Final = GAILConfig()
"""CartPole-v1 with the policy of Ho and Ermon 2016 and the discriminator of Jiang et al. 2020."""

MOUNTAINCAR: Final = GAILConfig(env="MountainCar-v0", reward="haste", standardise=True, normalise=True)
"""MountainCar-v0. Its two numbers differ by a factor of ten in size, so both players see them on one scale."""

CARTPOLE_FIXED: Final = replace(
    CARTPOLE, horizon=500, iterations=450, environments=4, discriminator_steps=3, standardise=True
)
"""Episodes of 500 steps, whether the pole stands or not; in each iteration every environment ends one. With one move of
the discriminator an iteration neither method got anywhere in 150 iterations of a trial; with the observations
as they are, trials reached a return of 450 after 81, 158 and 109 iterations, with the policy's standardised after 124,
81 and 100."""

MOUNTAINCAR_FIXED: Final = replace(MOUNTAINCAR, horizon=200)
"""Episodes of 200 steps, whether the car is up or not."""

_PAPER: Final[dict[str, Any]] = {"policy_hidden": (64, 32), "hidden": (64, 32), "steps": 5000, "iterations": 300}
# Jiang et al., ICLR 2020 submission, appendix C.2: the discriminator's network for the policy too, all else as Ho and
# Ermon 2016 have it (their Table 1: 5,000 pairs an iteration, 300 iterations).

PRESETS: dict[str, GAILConfig] = {
    "cartpole": CARTPOLE,
    "mountaincar": MOUNTAINCAR,
    "cartpole-fixed": CARTPOLE_FIXED,
    "mountaincar-fixed": MOUNTAINCAR_FIXED,
    "cartpole-paper": replace(CARTPOLE, **_PAPER),
    "mountaincar-paper": replace(MOUNTAINCAR, **_PAPER),
    "cartpole-fixed-paper": replace(CARTPOLE_FIXED, **_PAPER),
    "mountaincar-fixed-paper": replace(MOUNTAINCAR_FIXED, **_PAPER),
}
"""Configurations by name."""

DEFAULT: Final = "cartpole"
"""The preset that the command line begins with."""


def preset_of(environment: str, horizon: str = "") -> str:
    """Return the preset of an environment and horizon, else that of the environment, else the default.

    Args:
        environment: gymnasium's id.
        horizon: the steps of each episode as a user wrote them; empty if none were named.
    """
    fitting = [name for name, one in PRESETS.items() if one.env == environment]
    asked = [name for name in fitting if str(PRESETS[name].horizon or "") == horizon]
    return (asked or fitting or [DEFAULT])[0]


def fixed_twin(config: GAILConfig) -> str | None:
    """Return the preset that tests a discriminator on an environment on which ``config`` does not, if that is known.

    On an environment of these presets, with its own lengths of episodes and the reward of its preset, a discriminator
    that says one half of every pair makes the policy as good as the expert.
    """
    for name, one in PRESETS.items():
        if config.horizon is None and one.horizon is not None and (one.env, one.reward) == (config.env, config.reward):
            return name
    return None
