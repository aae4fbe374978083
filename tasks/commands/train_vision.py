"""What the commands that train an image classifier share."""

from __future__ import annotations

import abc
import shlex
from dataclasses import dataclass
from pathlib import Path

from bilevel.counts import check_count
from tasks.commands.base import Command, RunFolder, free_folder, require
from tasks.commands.loggers import loggers_of
from tasks.run import Run
from tasks.settings import flags, from_dict, to_dict
from tasks.vision.build import build
from tasks.vision.config import CONFIGS, VisionConfig
from tasks.vision.machine import launch
from tasks.vision.train import Training, device_of, train


@dataclass(frozen=True)
class TrainVision(Command, abc.ABC):
    """The options of a training that are not its configuration."""

    run_folder: RunFolder = None
    """The folder of the run, a new one; by default runs/ and the method's name. (torchrun takes --run for its own;
    write --out there.)"""

    overwrite: bool = False
    """Remove the run that is in that folder already."""

    checkpoint_every: int | None = None
    """Write a checkpoint after so many steps; by default after each epoch."""

    tensorboard: bool = False
    """Log for TensorBoard too."""

    def train(self, config: VisionConfig, usual: VisionConfig) -> None:
        """Train as ``config`` says, and say how to go on.

        Args:
            config: the configuration.
            usual: the one that the command begins with, from which the run's command line counts.
        """
        if self.checkpoint_every is not None:
            check_count("checkpoint_every", self.checkpoint_every)
        _, processes = launch(config)
        require(
            config.batch_size % processes.count == 0,
            f"A batch of {config.batch_size} cannot be divided equally among {processes.count} processes: choose a "
            f"multiple of {processes.count}.",
        )
        go_on(processes.from_first(lambda: self._create(config, usual)), config)

    def _create(self, config: VisionConfig, usual: VisionConfig) -> Run:
        build(config, device=device_of(config))  # what does not fit is said before a folder is made
        folder = self.run_folder or free_folder(Path("runs") / config.label)
        command = ["bilevel", "train", config.task, *flags(config, usual), "--run", str(folder)]
        settings = {
            "task": config.task,
            "command": shlex.join(command),
            "checkpoint_every": self.checkpoint_every,
            "tensorboard": self.tensorboard,
            **to_dict(config),
        }
        return Run.create(folder, settings, overwrite=self.overwrite)


def go_on(run: Run, config: VisionConfig, *, resume: bool = False) -> None:
    """Train as a run's settings say, from its last checkpoint if there is one, and say how to go on."""
    trained = train(
        config,
        run.path,
        resume=resume,
        checkpoint_every=run.config.get("checkpoint_every"),
        loggers=loggers_of(run),
        title=config.label,
        resume_hint=f"bilevel resume {run.path}",
    )
    if trained.solver.processes.is_first:
        finish(run, trained)


def resume(run: Run) -> None:
    """Go on with a run that was stopped."""
    go_on(run, config_of(run), resume=True)


def config_of(run: Run) -> VisionConfig:
    """Return the configuration of the run of a classifier.

    Raises:
        ConfigurationError: if it is none, or its settings are not those of this version.
    """
    task = str(run.config.get("task"))
    require(task in CONFIGS, f"{run.path} is a run of the task {task!r}, not of {' or '.join(CONFIGS)}.")
    kind = CONFIGS[task]
    kept = {"task", "command", "checkpoint_every", "tensorboard"}
    return from_dict(kind, {name: value for name, value in run.config.items() if name not in kept})


def finish(run: Run, trained: Training) -> None:
    """Say what came out of a training, and what can be done with it."""
    for name, value in (trained.fitted.evaluation if trained.fitted else {}).items():
        print(f"{name.replace('_', ' ')}: {value:.4f}")
    print(f"The run is in {run.path}. Attack it: bilevel evaluate {run.path}")
