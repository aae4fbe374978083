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
    """The classifier's highest learning rate (stochastic gradient descent)."""

    momentum: float = 0.9
    """The classifier's momentum, in [0, 1)."""

    weight_decay: float = 2e-4
    """The classifier's weight decay."""

    schedule: str = "cosine"
    """How the classifier's learning rate goes: cosine (falls to 0 at the end), steps (falls at the milestones), cyclic
    (rises from 0 to the peak and falls to 0) or constant."""

    warmup: float = 0.0
    """The share of the training in which the learning rate rises from 0, in [0, 1)."""

    milestones: tuple[int, ...] = (30, 60, 90)
    """With the schedule steps: the epochs after which the learning rate falls."""

    decay: float = 0.1
    """With the schedule steps: what the learning rate is multiplied by at a milestone."""

    peak: float = 0.5
    """With the schedule cyclic: the share of the training after which the rate is the highest, in (0, 1)."""

    clip: float | None = None
    """The largest Euclidean norm of the classifier's gradient, to which longer ones are shortened; None: any."""

    ema: float | None = None
    """The decay of an exponential moving average of the classifier's weights, in (0, 1), such as 0.999 a step, to which
    it grows: the average is then what is evaluated and kept as the result; None: the last weights are."""

    ema_start: float = 0.0
    """With ema: the share of the training after which the average begins, in [0, 1)."""

    def check(self) -> None:
        """Raise `ConfigurationError` for an unknown name or a number out of range."""
        look_up(tables.SCHEDULES, self.schedule, "schedule")
        self.check_positive("epochs", "batch_size", "lr", "decay", "peak", "clip", "ema")
        self.check_not_negative("weight_decay")
        self.check_share("momentum", "warmup", "peak", "ema", "ema_start")
        if any(a >= b for a, b in zip((0, *self.milestones), self.milestones, strict=False)):
            raise ConfigurationError(f"milestones must be ascending epochs from 1, got {self.milestones}.")
