"""Adversarial training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, final

import tyro

from tasks.commands.base import named_preset
from tasks.commands.train_vision import TrainVision
from tasks.names import look_up
from tasks.vision.config import DROConfig
from tasks.vision.presets import DEFAULT, PRESETS


@final
@dataclass(frozen=True)
class TrainDRO(TrainVision):
    """Train a classifier that withstands perturbed images (distributionally robust optimization)."""

    config: Annotated[DROConfig, tyro.conf.arg(name="")] = field(default_factory=lambda: PRESETS[DEFAULT])

    preset: str = DEFAULT
    """Begin with these settings (digits: small images on a CPU; paper: as printed; code: as the authors' code); flags
    change single ones."""

    @classmethod
    def default(cls, arguments: Sequence[str]) -> TrainDRO:
        """Return the settings of the preset that ``arguments`` name, of which flags then change single ones.

        Raises:
            ConfigurationError: for an unknown preset.
        """
        name = named_preset(arguments, DEFAULT)
        return cls(config=look_up(PRESETS, name, "preset"), preset=name)

    def run(self) -> None:
        """Train, and say how to go on."""
        self.train(self.config, PRESETS[DEFAULT])
