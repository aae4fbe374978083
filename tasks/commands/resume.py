"""Going on with a run that was stopped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, final

import tyro

from tasks.commands import demo, train_dro
from tasks.commands.base import Command
from tasks.run import Run


@final
@dataclass(frozen=True)
class Resume(Command):
    """Go on after a stop, a kill or a crash, to the same weights as an unbroken run."""

    folder: Annotated[Path, tyro.conf.Positional]
    """The folder of the run."""

    def run(self) -> None:
        """Train what is missing."""
        run = Run.open(self.folder)
        if run.config.get("task") == "demo":
            demo.go_on(run)
        else:
            train_dro.go_on(run, train_dro.config_of(run), resume=True)
