"""Small games."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, final

import tyro

from tasks.commands.base import Command, free_folder
from tasks.toy.config import ToyConfig
from tasks.toy.train import train_toy


@final
@dataclass(frozen=True)
class TrainToy(Command):
    """Play a small game in several ways, side by side."""

    config: Annotated[ToyConfig, tyro.conf.arg(name="")] = field(default_factory=ToyConfig)

    run_folder: Annotated[Path | None, tyro.conf.arg(name="run")] = None
    """The folder of the run, a new one; by default runs/toy-GAME."""

    overwrite: bool = False
    """Remove the run that is in that folder already."""

    def run(self) -> None:
        """Play, draw, and say where the pictures are."""
        folder = self.run_folder or free_folder(Path("runs") / f"toy-{self.config.game}")
        run = train_toy(self.config, folder, overwrite=self.overwrite)
        for record in run.results():
            print(f"{record['method']:>20}: distance to the equilibrium {record['distance']:.3e}")
        print(f"Phase portraits: {run.figures / 'portraits.png'}; distance: {run.figures / 'distance.png'}")
