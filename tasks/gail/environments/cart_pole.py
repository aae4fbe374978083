"""CartPole-v1 for many carts at once."""

from __future__ import annotations

import math
from typing import ClassVar, final

import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float, Int

from tasks.gail.environments.dynamics import Dynamics, States

_GRAVITY, _POLE, _HALF_LENGTH, _TIME = 9.8, 0.1, 0.5, 0.02
_FORCES = np.array([-10.0, 10.0])
_MASS = _POLE + 1.0
_POLE_MOMENT = _POLE * _HALF_LENGTH
_FARTHEST, _STEEPEST = 2.4, 12 * 2 * math.pi / 360


@final
class CartPole(Dynamics):
    r"""Keep a pole upright on a cart that is pushed to the left or to the right.

    With the force $F$, the masses $m$ of the pole and $M$ of both, and half the pole's length $l$:

    $$a = \frac{F + m l \dot\vartheta^2 \sin\vartheta}{M} \qquad
    \ddot\vartheta = \frac{g \sin\vartheta - a \cos\vartheta}{l (4/3 - m \cos^2\vartheta / M)} \qquad
    \ddot x = a - \frac{m l \ddot\vartheta \cos\vartheta}{M}$$

    by explicit Euler steps of 0.02 s. The order of the operations is gymnasium's, on which the last bit depends.

    Source: Barto, Sutton and Anderson 1983, as gymnasium's CartPole-v1 has it.
    """

    name: ClassVar[str] = "CartPole-v1"
    limit: ClassVar[int] = 500

    def observation_space(self) -> spaces.Box:
        """Return the space of (place, speed, angle, angular speed)."""
        bound = np.array([_FARTHEST * 2, np.inf, _STEEPEST * 2, np.inf], np.float32)
        return spaces.Box(-bound, bound, dtype=np.float32)

    def action_space(self) -> spaces.Discrete:
        """Return the space of the two pushes, 0 to the left and 1 to the right."""
        return spaces.Discrete(2)

    def first(self, generator: np.random.Generator) -> Float[np.ndarray, " numbers"]:
        """Draw all four numbers within 0.05 of zero."""
        return generator.uniform(-0.05, 0.05, size=4)

    def step(
        self, states: States, actions: Int[np.ndarray, " count"]
    ) -> tuple[States, Float[np.ndarray, " count"], Bool[np.ndarray, " count"]]:
        """Push; each step gives 1, the one that ends the episode as well."""
        speed, angle, turning = states[1:]
        force = _FORCES[actions]
        cosine, sine = np.cos(angle), np.sin(angle)
        push = (force + _POLE_MOMENT * np.square(turning) * sine) / _MASS
        bending = (_GRAVITY * sine - cosine * push) / (_HALF_LENGTH * (4.0 / 3.0 - _POLE * np.square(cosine) / _MASS))
        pulling = push - _POLE_MOMENT * bending * cosine / _MASS
        moved = np.empty_like(states)  # not a stack, which costs as much as five operations
        moved[0], moved[1], moved[2], moved[3] = speed, pulling, turning, bending
        moved *= _TIME
        moved += states
        ended = (np.abs(moved[0]) > _FARTHEST) | (np.abs(moved[2]) > _STEEPEST)
        return moved, np.ones(len(actions)), ended
