"""Going on with a run that was stopped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, final

import tyro

from tasks.commands import demo, reproduce, train_cleaning, train_gail, train_meta, train_vision
from tasks.commands.base import Command, require
from tasks.run import Run

_RESUMED = {
    "demo": demo.go_on,
    "dro": train_vision.resume,
    "ait": train_vision.resume,
    "cleaning": train_cleaning.resume,
    "gail": train_gail.resume,
    "meta": train_meta.resume,
    "reproduce": reproduce.go_on,
}


@final
@dataclass(frozen=True)
class Resume(Command):
    """Go on after a stop, a kill or a crash, to the same weights as an unbroken run."""

    folder: Annotated[Path, tyro.conf.Positional]
    """The folder of the run."""

    def run(self) -> None:
        """Train what is missing."""
        run = Run.open(self.folder)
        task = str(run.config.get("task"))
        require(
            task in _RESUMED,
            f"{run.path} is a run of the task {task!r}; those that go on are of {', '.join(_RESUMED)}. Start it anew: "
            f"`{run.config.get('command', f'bilevel train {task}')} --overwrite`.",
        )
        _RESUMED[task](run)
