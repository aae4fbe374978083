"""How the episodes grow longer, and the attack stronger, while a rule learns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

from bilevel.counts import check_count
from bilevel.errors import ConfigurationError
from bilevel.follower import LivingFollower
from bilevel.solver import Solver
from tasks.meta.task import Training


@final
@dataclass(frozen=True)
class Plan:
    r"""What an episode is that begins, and an attack that is made, when a share s of all windows is done.

    $$\text{windows of an episode} = \Big\lfloor n_0^{1 - r}\, n^{\,r} \Big\rceil, \quad r = \min(1, s / s_h), \qquad
    \text{share of the radius} = \min(1, s / s_\epsilon)$$

    Learned at the full radius from the beginning, a rule's first success is to make all outputs alike, which no attack
    changes; and it stays there.

    Args:
        windows: all windows of the training, at least 1.
        shortest: n_0, the windows of the first episodes.
        longest: n, those of the last ones.
        growth: s_h, the share of the training in which they grow, in [0, 1]; 0 for all of the same length.
        ramp: s_ε, the share of the training in which the attack grows, in [0, 1]; 0 for the full radius at once.

    Raises:
        ConfigurationError: if a number is out of range.
    """

    windows: int
    shortest: int
    longest: int
    growth: float = 0.0
    ramp: float = 0.0

    def __post_init__(self) -> None:
        for name in ("windows", "shortest", "longest"):
            check_count(f"the curriculum's {name}", getattr(self, name))
        if self.shortest > self.longest:
            raise ConfigurationError(
                f"The first episodes have {self.shortest} windows and the last ones {self.longest}: they can only grow."
            )
        for name in ("growth", "ramp"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(f"{name} is a share of the training, in [0, 1]; got {getattr(self, name)}.")

    def episode(self, step: int) -> int:
        """Return the windows of an episode that begins after ``step`` windows."""
        done = min(1.0, step / self.windows / self.growth) if self.growth else 1.0
        return round(math.exp((1 - done) * math.log(self.shortest) + done * math.log(self.longest)))

    def share(self, step: int) -> float:
        """Return the share of the radius after ``step`` windows."""
        return min(1.0, step / self.windows / self.ramp) if self.ramp else 1.0


@final
class Curriculum:
    """Follows a `Plan` after each step of a solver; what it has set is part of the task's own state.

    Args:
        solver: whose task is a `Training`.
        plan: the plan.
    """

    def __init__(self, solver: Solver[Any], plan: Plan) -> None:
        assert isinstance(solver.task, Training)
        assert isinstance(solver.follower, LivingFollower)
        self._task, self._follower, self._solver = solver.task, solver.follower, solver
        self.plan = plan

    def numbers(self) -> dict[str, float]:
        """Return the share of the radius and the windows of an episode, as they are now."""
        return {"radius_share": self._task.share, "episode_windows": float(self._task.episode or 0)}

    def __call__(self) -> None:
        """Set what the next window is made with."""
        step = self._solver.step_count
        self._task.share = self.plan.share(step)
        if self._follower.fresh:
            self._task.episode = self.plan.episode(step)
