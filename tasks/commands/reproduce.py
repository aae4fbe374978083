"""The papers' tables and figures, made again."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, final

import tyro

from bilevel.errors import ConfigurationError
from tasks.commands import reproduce_gail, reproduce_meta
from tasks.commands.base import Command, RunFolder, free_folder, require
from tasks.commands.reproduce_vision import Classifiers
from tasks.commands.reproduction import Reproduction
from tasks.names import look_up
from tasks.reproduce.experiments import EXPERIMENTS
from tasks.run import Run

REPRODUCTIONS: dict[str, Reproduction] = {
    **{name: Classifiers(name, experiment) for name, experiment in EXPERIMENTS.items()},
    "gail": reproduce_gail.Imitation(),
    **{name: reproduce_meta.Figure(name) for name in reproduce_meta.FIGURES},
    "generalisation": reproduce_meta.Generalisation(),
}
"""What can be made, by name."""

_EVERY = frozenset({"workers", "run_folder", "overwrite"})  # options that do not say what is made


@final
@dataclass(frozen=True)
class Reproduce(Command):
    """Make a table or figure of the papers again, beside the papers' own numbers."""

    name: Annotated[str, tyro.conf.Positional]
    """Which one: table2 (white-box attacks), table3 (seconds an epoch), table4 (adversarial interpolation), blackbox
    (transfer from other networks), slim (the slim attackers), curves (against radius and iterations), examples
    (perturbed images), masking (do they only look robust?), gail (imitation learning beside its controls) or figure1 to
    figure4 (rules that learn to train classifiers robustly, on MNIST and CIFAR-10); and what the papers do not have:
    frontier (robustness against training time), frontier-large (the same at 16/255), frontier-mnist (on
    MNIST at 0.3, where training by one step collapses) and generalisation (how far a rule of figure1 reaches)."""

    scale: str = "cpu"
    """How large: cpu (a small network and few images, on 2 cores) or paper (the papers' settings, for a GPU; gail and
    the figures need none)."""

    data: str | None = None
    """The data set: one for which the papers have it; by default cifar10 (of frontier-mnist, mnist)."""

    data_dir: str | None = None
    """The folder of the data's files."""

    seeds: tuple[int, ...] = (1,)
    """One training of each kind a seed; of the figures and of generalisation one network, trained by the same rules."""

    precision: str = "32-true"
    """That of the classifiers' trainings: 32-true or bf16-mixed, which takes half the time where the processor has it.
    Attacks compute in single precision."""

    workers: int = min(2, os.cpu_count() or 1)
    """How many trainings run at a time."""

    only: tuple[str, ...] = ()
    """Of table2, slim, frontier, frontier-large and frontier-mnist: the methods that are wanted, as they are called in
    the run's parts; all if none is named. `bilevel report` joins the runs."""

    trained: tuple[Path, ...] = ()
    """Other runs of `bilevel reproduce`: a training that one of them has finished with the same settings is taken from
    there."""

    run_folder: RunFolder = None
    """The folder of the run, a new one; by default runs/NAME-DATA-SCALE."""

    overwrite: bool = False
    """Remove the run that is in that folder already."""

    environments: tuple[str, ...] = reproduce_gail.ENVIRONMENTS
    """Of gail: what to imitate on, cartpole, mountaincar, or one with -fixed behind it (episodes of fixed length); or
    the folder of a run of bilevel train gail, whose settings and demonstrations are taken."""

    updater: str | None = None
    """Of gail: the rule that learns, as in bilevel train gail; by default coordinate-wise, or that of the run."""

    iterations: int | None = None
    """Of gail: how many iterations each training has; by default as many as its preset."""

    epsilons: tuple[float, ...] = reproduce_meta.EPSILONS
    """Of figure1 to figure4: the radii, a panel each."""

    windows: int | None = None
    """Of figure1 to figure4: how often a rule moves while it learns; by default as often as in its preset."""

    rule: Path | None = None
    """Of generalisation: the file of a rule that bilevel train meta wrote; by default the one that comes with the
    package."""

    def run(self) -> None:
        """Train, attack, compare."""
        made = look_up(REPRODUCTIONS, self.name, "table or figure")
        require(self.workers >= 1, f"workers must be at least 1, got {self.workers}.")
        if ignored := sorted(map(_flag, self._changed() - {*made.options, *_EVERY})):
            known = ", ".join(map(_flag, (*made.options, *sorted(_EVERY))))
            raise ConfigurationError(f"{self.name} takes no {', '.join(ignored)}, but {known}.")
        chosen = made.complete({name: _plain(getattr(self, name)) for name in made.options})
        made.check(chosen)
        folder = self.run_folder or free_folder(Path("runs") / made.stem(chosen))
        words = ["bilevel", "reproduce", self.name]
        for name, value in chosen.items():
            if value not in (None, []):
                words += [_flag(name), *map(str, value if isinstance(value, list) else [value])]
        settings = {"task": "reproduce", "command": shlex.join(words), "name": self.name, **chosen}
        go_on(Run.create(folder, {**settings, "workers": self.workers}, overwrite=self.overwrite))

    def _changed(self) -> set[str]:
        """Return the options that are not as they are by default."""
        own = fields(self)
        return {one.name for one in own if one.name != "name" and getattr(self, one.name) != one.default}


def go_on(run: Run) -> None:
    """Do what is missing of a reproduction, and compare."""
    REPRODUCTIONS[run.config["name"]].go_on(run)


def _flag(name: str) -> str:
    """Return how an option is written on the command line."""
    return "--run" if name == "run_folder" else f"--{name.replace('_', '-')}"


def _plain(value: Any) -> Any:
    """Return an option as a run's settings hold it."""
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value
