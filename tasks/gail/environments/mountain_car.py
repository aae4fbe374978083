"""MountainCar-v0 for many cars at once."""

from __future__ import annotations

import math
from typing import ClassVar, final

import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float, Int

from tasks.gail.environments.dynamics import Dynamics, States

_LEFT, _RIGHT, _FASTEST, _GOAL = -1.2, 0.6, 0.07, 0.5
_FORCES, _GRAVITY = np.array([-1, 0, 1]) * 0.001, 0.0025
# gymnasium takes the cosine of Python's math, and NumPy's may differ from it in the last bit.
_cosine = np.frompyfunc(math.cos, 1, 1)


@final
class MountainCar(Dynamics):
    r"""Drive a weak car out of a valley, for which it has to swing.

    $$v \leftarrow \mathrm{clip}(v + 0.001 (a - 1) - 0.0025 \cos 3x) \qquad x \leftarrow \mathrm{clip}(x + v)$$

    for the place $x$ and the speed $v$. The left end is a wall. The order of the operations is gymnasium's, on which
    the last bit depends.

    Source: Moore 1990, as gymnasium's MountainCar-v0 has it.
    """

    name: ClassVar[str] = "MountainCar-v0"
    limit: ClassVar[int] = 200

    def observation_space(self) -> spaces.Box:
        """Return the space of (place, speed)."""
        low, high = np.array([[_LEFT, -_FASTEST], [_RIGHT, _FASTEST]], np.float32)
        return spaces.Box(low, high, dtype=np.float32)

    def action_space(self) -> spaces.Discrete:
        """Return the space of the actions: 0 to the left, 1 none, 2 to the right."""
        return spaces.Discrete(3)

    def first(self, generator: np.random.Generator) -> Float[np.ndarray, " numbers"]:
        """Draw a place near the bottom of the valley, at rest."""
        return np.array([generator.uniform(-0.6, -0.4), 0.0])

    def step(
        self, states: States, actions: Int[np.ndarray, " count"]
    ) -> tuple[States, Float[np.ndarray, " count"], Bool[np.ndarray, " count"]]:
        """Drive; each step gives -1, the one that arrives as well."""
        place, speed = states
        slope = _cosine(3 * place).astype(np.float64)
        speed = speed + (_FORCES[actions] + slope * -_GRAVITY)
        speed = np.minimum(np.maximum(speed, -_FASTEST), _FASTEST)
        place = np.minimum(np.maximum(place + speed, _LEFT), _RIGHT)
        moved = np.empty_like(states)  # not a stack, which costs as much as five operations
        moved[0], moved[1] = place, speed
        moved[1, (place == _LEFT) & (speed < 0)] = 0.0
        return moved, np.full(len(actions), -1.0), (place >= _GOAL) & (moved[1] >= 0)
