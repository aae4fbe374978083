"""Environments by name."""

from __future__ import annotations

import difflib
from functools import partial
from typing import Any, Final

import gymnasium
from gymnasium import spaces

from bilevel.errors import ConfigurationError
from tasks.gail.environments.base import VectorEnvironment
from tasks.gail.environments.cart_pole import CartPole
from tasks.gail.environments.dynamics import Dynamics
from tasks.gail.environments.fixed_horizon import FixedHorizon
from tasks.gail.environments.mountain_car import MountainCar
from tasks.gail.environments.sequential import Sequential
from tasks.gail.environments.vectorised import Vectorised

VECTORISED: dict[str, type[Dynamics]] = {CartPole.name: CartPole, MountainCar.name: MountainCar}
"""The environments that there are in NumPy."""

_USUAL: Final = ("CartPole-v1", "MountainCar-v0", "Acrobot-v1", "Pendulum-v1", "LunarLander-v3", "Hopper-v5", "Ant-v5")


def make(
    name: str,
    *,
    count: int,
    seed: int,
    horizon: int | None = None,
    vectorised: bool | None = None,
    render_mode: str | None = None,
) -> VectorEnvironment:
    """Return environments of one kind, side by side.

    Args:
        name: an id of gymnasium. Observations that are not a vector are flattened into one.
        count: how many.
        seed: environment i is seeded with ``seed + i``.
        horizon: ``None``: episodes end as the environment's do. A number: they all take so many steps, in place of
            the environment's own time limit; after a termination the state stays where it is, with reward 0.
        vectorised: in NumPy (``True``), gymnasium's own (``False``), or NumPy where that is possible (``None``).
        render_mode: what gymnasium's environments draw, such as ``"rgb_array"``; they are then gymnasium's own.

    Raises:
        ConfigurationError: for an unknown name, listing the nearest, a count that is not positive, or spaces that
            imitation cannot use.
    """
    for what, number, least in (("count", count, 1), ("seed", seed, 0), ("horizon", horizon, 1)):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < least):
            raise ConfigurationError(f"{what} must be a whole number from {least}, got {number!r}.")
    if vectorised and (name not in VECTORISED or render_mode is not None):
        raise ConfigurationError(
            f"There is no {name} {'in NumPy' if render_mode is None else 'that draws in NumPy'}: in NumPy there are "
            f"{', '.join(VECTORISED)}, which do not draw. Leave vectorised out to have gymnasium's own."
        )
    if vectorised is not False and name in VECTORISED and render_mode is None:
        return Vectorised(VECTORISED[name](), count, seed=seed, horizon=horizon)
    build = partial(_build, name, horizon, render_mode)
    return Sequential(build, count, seed=seed, name=name, horizon=horizon)


def _build(name: str, horizon: int | None, render_mode: str | None) -> gymnasium.Env[Any, Any]:
    try:
        limit = None if horizon is None else -1  # none of its own
        drawing = {} if render_mode is None else {"render_mode": render_mode}
        environment: gymnasium.Env[Any, Any] = gymnasium.make(
            name, max_episode_steps=limit, disable_env_checker=True, **drawing
        )
    except (gymnasium.error.UnregisteredEnv, gymnasium.error.DeprecatedEnv) as error:
        near = difflib.get_close_matches(name, gymnasium.registry, n=5, cutoff=0.4)
        usual = [one for one in _USUAL if one in gymnasium.registry]
        known = f"The nearest names are: {', '.join(near)}." if near else f"Some that are there: {', '.join(usual)}."
        raise ConfigurationError(f"There is no environment {name!r}. {known}") from error
    except (gymnasium.error.Error, ImportError) as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(f"The environment {name!r} cannot be made: {reason}") from error
    _require_actions(name, environment.action_space)
    space = environment.observation_space
    if not isinstance(space, spaces.Box) or len(space.shape) != 1:
        if not space.is_np_flattenable:
            raise ConfigurationError(f"The observations of {name} cannot be flattened into a vector: {space}.")
        environment = gymnasium.wrappers.FlattenObservation(environment)
    return environment if horizon is None else FixedHorizon(environment, horizon)


def _require_actions(name: str, space: spaces.Space[Any]) -> None:
    discrete = isinstance(space, spaces.Discrete) and space.start == 0
    continuous = isinstance(space, spaces.Box) and len(space.shape) == 1
    if not (discrete or continuous):
        raise ConfigurationError(
            f"The actions of {name} are {space}; allowed are a choice from 0 (Discrete) and a vector of numbers (Box)."
        )
