"""Attacking a trained classifier."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, final

import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tasks.commands.base import Command, require
from tasks.commands.summary import show
from tasks.commands.train_vision import config_of
from tasks.report import write_report
from tasks.run import Run
from tasks.vision.assess import ATTACKS, attacks_for, write_curves, write_examples, write_results
from tasks.vision.train import device_of, restore


@final
@dataclass(frozen=True)
class Evaluate(Command):
    """Attack a trained classifier."""

    folder: Annotated[Path, tyro.conf.Positional]
    """The folder of its run."""

    attacks: tuple[str, ...] = ATTACKS
    """FGSM, PGM-<steps>, CW-<steps>, Random-<draws>, own (its own learned attacker), or several joined by +, which
    stand for the worst of them."""

    eps: float | None = None
    """The radius; by default the one of the training."""

    split: str = "test"
    """The part of the data: test, validation or train."""

    curves: bool = True
    """Measure the accuracy against the radius and against the number of iterations too."""

    device: str = "cpu"
    """Where to attack: auto (the fastest that is there), cpu, cuda or mps."""

    def run(self) -> None:
        """Attack, write the results into the run, and show them."""
        run = Run.open(self.folder)
        settings = config_of(run)
        eps = settings.eps if self.eps is None else self.eps
        training = restore(settings, run.path, device=device_of(replace(settings, device=self.device)))
        attacks = attacks_for(training, self.attacks, eps)
        require(bool(attacks), "No attack is left: `own` needs a run with a learned attacker.")
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bars:
            bar = bars.add_task("")

            def progress(done: int, total: int, attack: str) -> None:
                bars.update(bar, description=attack, completed=done, total=total)

            write_results(training, run, attacks, split=self.split, seconds=_seconds(run), progress=progress)
            if self.curves:
                write_curves(training, run, split=self.split, eps=eps, progress=progress)
        write_examples(training, run, attacks[:3], split=self.split)
        show([run])
        report = write_report([run], run.path, title=f"{run.name}")
        print(f"Report: {report}")


def _seconds(run: Run) -> float | None:
    """Return how long the run was trained, if its log says so."""
    import csv

    if not run.metrics.is_file():
        return None
    with run.metrics.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return sum(float(row["seconds"]) for row in rows) if rows and "seconds" in rows[0] else None
