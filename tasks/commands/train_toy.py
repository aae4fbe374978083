"""Small games."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, final

import tyro

from tasks.commands.base import Command, RunFolder, free_folder, named_preset
from tasks.names import look_up
from tasks.toy.config import ToyConfig
from tasks.toy.presets import PRESETS
from tasks.toy.records import toy_table
from tasks.toy.train import train_toy


@final
@dataclass(frozen=True)
class TrainToy(Command):
    """Play a small game in several ways, side by side."""

    config: Annotated[ToyConfig, tyro.conf.arg(name="")] = field(default_factory=lambda: PRESETS["default"])

    run_folder: RunFolder = None
    """The folder of the run, a new one; by default runs/toy-GAME."""

    overwrite: bool = False
    """Remove the run that is in that folder already."""

    preset: str = "default"
    """Begin with these settings: default (xy); paper (a full turn with steps of 1e-4); best-step (bilinear, each method
    at its best step); cycle (van-der-pol); trap (forsaken); stackelberg (duopoly); many (many-solutions). Flags change
    single ones."""

    @classmethod
    def default(cls, arguments: Sequence[str]) -> TrainToy:
        """Return the settings of the preset that ``arguments`` name.

        Raises:
            ConfigurationError: for an unknown preset.
        """
        name = named_preset(arguments, "default")
        return cls(config=look_up(PRESETS, name, "preset"), preset=name)

    def run(self) -> None:
        """Play, draw, and say where the pictures are."""
        folder = self.run_folder or free_folder(Path("runs") / f"toy-{self.config.game}")
        run = train_toy(self.config, folder, overwrite=self.overwrite)
        print(toy_table(self.config, run.results()))
        print(f"\nPhase portraits: {run.figures / 'portraits.png'}; distance: {run.figures / 'distance.png'}")
