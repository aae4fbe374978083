"""How the classifier learns."""

from __future__ import annotations

from dataclasses import dataclass

from bilevel.errors import ConfigurationError
from tasks.names import look_up
from tasks.vision import tables
from tasks.vision.config.group import SettingsGroup


@dataclass(frozen=True)
class OptimizationSettings(SettingsGroup):
    """The optimizer of the classifier, and its schedule."""

    epochs: int = 40
    """How often the training images are gone through."""

    batch_size: int = 64
    """Images a step."""

    lr: float = 0.1
    """The classifier's learning rate at the beginning (stochastic gradient descent)."""

    momentum: float = 0.9
    """The classifier's momentum, in [0, 1)."""

    weight_decay: float = 2e-4
    """The classifier's weight decay."""

    schedule: str = "cosine"
    """How the classifier's learning rate falls: cosine (to 0 at the end), steps (at the milestones) or constant."""

    warmup: float = 0.0
    """The share of the training in which the learning rate rises from 0, in [0, 1)."""

    milestones: tuple[int, ...] = (30, 60, 90)
    """With the schedule steps: the epochs after which the learning rate falls."""

    decay: float = 0.1
    """With the schedule steps: what the learning rate is multiplied by at a milestone."""

    def check(self) -> None:
        """Raise `ConfigurationError` for an unknown name or a number out of range."""
        look_up(tables.SCHEDULES, self.schedule, "schedule")
        self.check_positive("epochs", "batch_size", "lr", "decay")
        self.check_not_negative("weight_decay")
        self.check_share("momentum", "warmup")
        if any(a >= b for a, b in zip((0, *self.milestones), self.milestones, strict=False)):
            raise ConfigurationError(f"milestones must be ascending epochs from 1, got {self.milestones}.")
