"""Going on with a run that was stopped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, final

import tyro

from tasks.commands.base import Command, require
from tasks.commands.demo import go_on
from tasks.commands.train_dro import finish
from tasks.run import Run
from tasks.settings import from_dict
from tasks.vision.assess import label
from tasks.vision.config import DROConfig
from tasks.vision.train import train


@final
@dataclass(frozen=True)
class Resume(Command):
    """Go on after a stop, a kill or a crash, to the same weights as an unbroken run."""

    folder: Annotated[Path, tyro.conf.Positional]
    """The folder of the run."""

    checkpoint_every: int | None = None
    """Write a checkpoint after so many steps; by default after each epoch."""

    def run(self) -> None:
        """Train what is missing."""
        run = Run.open(self.folder)
        config = {name: value for name, value in run.config.items() if name != "command"}
        task = config.pop("task", None)
        if task == "demo":
            go_on(run)
            return
        require(task == "dro", f"{self.folder} is a run of the task {task!r}; those of dro and demo can be resumed.")
        settings = from_dict(DROConfig, config)
        trained = train(
            settings,
            run.path,
            resume=True,
            checkpoint_every=self.checkpoint_every,
            title=label(settings),
            resume_hint=f"bilevel resume {run.path}",
        )
        finish(run, trained)
