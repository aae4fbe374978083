"""Data hyper-cleaning."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, final

import tyro
from rich.console import Console

from tasks.cleaning.config import DEFAULT, PRESETS, CleaningConfig
from tasks.cleaning.table import results_table
from tasks.cleaning.train import go_on, train_cleaning
from tasks.commands.base import Command, RunFolder, free_folder, named_preset
from tasks.names import look_up
from tasks.report import write_report
from tasks.run import Run
from tasks.settings import flags, from_dict


@final
@dataclass(frozen=True)
class TrainCleaning(Command):
    """Find the training samples whose labels are wrong, by every hypergradient, side by side."""

    config: Annotated[CleaningConfig, tyro.conf.arg(name="")] = field(default_factory=CleaningConfig)

    run_folder: RunFolder = None
    """The folder of the run, a new one; by default runs/cleaning-DATA."""

    overwrite: bool = False
    """Remove the run that is in that folder already."""

    preset: str = DEFAULT
    """Begin with these settings (digits: small images that come with scikit-learn; mnist: 5,000 training samples);
    flags change single ones."""

    @classmethod
    def default(cls, arguments: Sequence[str]) -> TrainCleaning:
        """Return the settings of the preset that ``arguments`` name.

        Raises:
            ConfigurationError: for an unknown preset.
        """
        name = named_preset(arguments, DEFAULT)
        return cls(config=look_up(PRESETS, name, "preset"), preset=name)

    def run(self) -> None:
        """Compare, print the table, and say where the report is."""
        folder = self.run_folder or free_folder(Path("runs") / f"cleaning-{self.config.data}")
        command = ["bilevel", "train", "cleaning", *flags(self.config, PRESETS[DEFAULT]), "--run", str(folder)]
        about = {"command": shlex.join(command)}
        finish(train_cleaning(self.config, folder, overwrite=self.overwrite, progress=True, about=about))


def resume(run: Run) -> None:
    """Do what is missing of a run.

    Raises:
        ConfigurationError: if its settings are not those of this version.
    """
    settings = {name: value for name, value in run.config.items() if name not in {"task", "command"}}
    go_on(run, from_dict(CleaningConfig, settings), progress=True)
    finish(run)


def finish(run: Run) -> None:
    """Print the table of a run, and say where its report is."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)  # a file or a pipe has no width to keep to
    console.print(results_table(run.results()))
    report = write_report([run], run.path, title=f"Hyper-cleaning: {run.config['data']}")
    print(f"Report: {report}")
