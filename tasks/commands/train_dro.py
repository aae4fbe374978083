"""Adversarial training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, final

import tyro

from bilevel.counts import check_count
from bilevel.loggers import CSVLogger, Logger, TensorBoardLogger
from tasks.commands.base import Command, free_folder, named_preset, require
from tasks.names import look_up
from tasks.run import Run
from tasks.settings import flags, from_dict, to_dict
from tasks.vision.assess import label
from tasks.vision.build import build
from tasks.vision.config import DROConfig
from tasks.vision.presets import DEFAULT, PRESETS
from tasks.vision.train import Training, device_of, train


@final
@dataclass(frozen=True)
class TrainDRO(Command):
    """Train a classifier that withstands perturbed images (distributionally robust optimization)."""

    config: Annotated[DROConfig, tyro.conf.arg(name="")] = field(default_factory=lambda: PRESETS[DEFAULT])

    run_folder: Annotated[Path | None, tyro.conf.arg(name="run")] = None
    """The folder of the run, a new one; by default runs/ and the method's name."""

    overwrite: bool = False
    """Remove the run that is in that folder already."""

    checkpoint_every: int | None = None
    """Write a checkpoint after so many steps; by default after each epoch."""

    tensorboard: bool = False
    """Log for TensorBoard too."""

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
        if self.checkpoint_every is not None:
            check_count("checkpoint_every", self.checkpoint_every)
        build(self.config, device=device_of(self.config))  # what does not fit is said before a folder is made
        folder = self.run_folder or free_folder(Path("runs") / label(self.config))
        command = f"bilevel train dro {flags(self.config, PRESETS[DEFAULT])} --run {folder}"
        settings = {
            "task": "dro",
            "command": command,
            "checkpoint_every": self.checkpoint_every,
            "tensorboard": self.tensorboard,
            **to_dict(self.config),
        }
        run = Run.create(folder, settings, overwrite=self.overwrite)
        go_on(run, self.config)


def go_on(run: Run, config: DROConfig, *, resume: bool = False) -> None:
    """Train as a run's settings say, from its last checkpoint if there is one, and say how to go on."""
    loggers: list[Logger] = [CSVLogger(run.metrics)]
    if run.config.get("tensorboard"):
        loggers.append(TensorBoardLogger(run.path / "tensorboard"))
    trained = train(
        config,
        run.path,
        resume=resume,
        checkpoint_every=run.config.get("checkpoint_every"),
        loggers=loggers,
        title=label(config),
        resume_hint=f"bilevel resume {run.path}",
    )
    finish(run, trained)


def config_of(run: Run) -> DROConfig:
    """Return the configuration of a run of dro.

    Raises:
        ConfigurationError: if it is none, or its settings are not those of this version.
    """
    task = run.config.get("task")
    require(task == "dro", f"{run.path} is a run of the task {task!r}, not of dro.")
    kept = {"task", "command", "checkpoint_every", "tensorboard"}
    return from_dict(DROConfig, {name: value for name, value in run.config.items() if name not in kept})


def finish(run: Run, trained: Training) -> None:
    """Say what came out of a training, and what can be done with it."""
    for name, value in (trained.fitted.evaluation if trained.fitted else {}).items():
        print(f"{name.replace('_', ' ')}: {value:.4f}")
    print(f"The run is in {run.path}. Attack it: bilevel evaluate {run.path}")
