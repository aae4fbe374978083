"""Attacks that are written by hand, as training makes them."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.names import look_up
from tasks.vision import tables
from tasks.vision.config.group import SettingsGroup


@dataclass(frozen=True)
class HandWrittenSettings(SettingsGroup):
    """The attack of fgsm, fgsm-rs and pgm."""

    pgm_steps: int = 10
    """With pgm: the number of its steps."""

    pgm_step: float = 0.25
    """With pgm: the length of a step, in multiples of eps."""

    pgm_start: str = "center"
    """With pgm: where it begins: center (the clean image), uniform or gaussian (a random point around it)."""

    pgm_start_size: float = 1.0
    """With pgm: the radius of the uniform start or the standard deviation of the gaussian, in multiples of eps."""

    pgm_norm: str = "eval"
    """With fgsm, fgsm-rs and pgm: the batch norm while the attack is made: eval (running statistics), train (batch
    statistics, and the running ones absorb them) or batch (batch statistics, the running ones stay)."""

    pgm_beta: float | None = None
    """With fgsm, fgsm-rs and pgm: learn the clean images too, with weight 1, and the perturbed ones with this weight;
    None: the perturbed ones alone."""

    def check(self) -> None:
        """Raise `ConfigurationError` for an unknown name or a number out of range."""
        look_up(tables.STARTS, self.pgm_start, "start")
        look_up(tables.NORM_MODES, self.pgm_norm, "batch-norm mode")
        self.check_positive("pgm_steps", "pgm_step", "pgm_start_size", "pgm_beta")
