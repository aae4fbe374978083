"""Adversarial interpolation training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, final

import tyro

from tasks.commands.base import named_preset
from tasks.commands.train_vision import TrainVision
from tasks.names import look_up
from tasks.vision.config import AITConfig
from tasks.vision.presets import AIT_PRESETS, DEFAULT


@final
@dataclass(frozen=True)
class TrainAIT(TrainVision):
    """Train a classifier by adversarial interpolation (AIT): images move by one another, and labels with them."""

    config: Annotated[AITConfig, tyro.conf.arg(name="")] = field(default_factory=lambda: AIT_PRESETS[DEFAULT])

    preset: str = DEFAULT
    """Begin with these settings (digits: small images on a CPU; paper: as printed, with the code's sign; code and
    code-2-step: as the authors' scripts; original: as the method's own authors); flags change single ones."""

    @classmethod
    def default(cls, arguments: Sequence[str]) -> TrainAIT:
        """Return the settings of the preset that ``arguments`` name, of which flags then change single ones.

        Raises:
            ConfigurationError: for an unknown preset.
        """
        name = named_preset(arguments, DEFAULT)
        return cls(config=look_up(AIT_PRESETS, name, "preset"), preset=name)

    def run(self) -> None:
        """Train, and say how to go on."""
        self.train(self.config, AIT_PRESETS[DEFAULT])
