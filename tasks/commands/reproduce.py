"""The papers' tables and figures, made again."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, final

import tyro
from rich.console import Console

from tasks.commands import reproduce_gail, reproduce_meta
from tasks.commands.bars import Bars
from tasks.commands.base import Command, free_folder, require
from tasks.commands.summary import show_table
from tasks.names import look_up
from tasks.report import write_report
from tasks.reproduce.experiment import Request
from tasks.reproduce.experiments import EXPERIMENTS
from tasks.reproduce.scale import SCALES
from tasks.run import Run
from tasks.vision.borrow import borrow
from tasks.vision.sweep import part_name


@final
@dataclass(frozen=True)
class Reproduce(Command):
    """Make a table or figure of the papers again, beside the papers' own numbers."""

    name: Annotated[str, tyro.conf.Positional]
    """Which one: table2 (white-box attacks), table3 (seconds an epoch), table4 (adversarial interpolation), blackbox
    (transfer from other networks), slim (the slim attackers), curves (against radius and iterations), examples
    (perturbed images), masking (do they only look robust?), gail (imitation learning beside its controls) or figure1 to
    figure4 (rules that learn to train classifiers robustly, on MNIST and CIFAR-10); and what the papers do not have:
    frontier (robustness against training time), frontier-large (the same at 16/255) and generalisation (how far a rule
    of figure1 reaches)."""

    scale: str = "cpu"
    """How large: cpu (a small network and few images, on 2 cores) or paper (the papers' settings, for a GPU; those of
    gail need none)."""

    data: str = "cifar10"
    """The data set: one for which the papers have it."""

    data_dir: str | None = None
    """The folder of the data's files."""

    seeds: tuple[int, ...] = (1,)
    """One training of each kind a seed."""

    workers: int = min(2, os.cpu_count() or 1)
    """How many trainings run at a time."""

    trained: tuple[Path, ...] = ()
    """Other runs of `bilevel reproduce`: a training that one of them has finished with the same settings is taken from
    there."""

    out: Path | None = None
    """The folder of the run, a new one; by default runs/NAME-DATA-SCALE."""

    overwrite: bool = False
    """Remove the run that is in that folder already."""

    environments: tuple[str, ...] = reproduce_gail.ENVIRONMENTS
    """Of gail: what to imitate on, cartpole, mountaincar, or one with -fixed behind it (episodes of fixed length)."""

    updater: str = "coordinate-wise"
    """Of gail: the rule that learns, as in bilevel train gail."""

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
        known = {**EXPERIMENTS, **dict.fromkeys((reproduce_gail.NAME, *reproduce_meta.WHAT))}
        look_up(known, self.name, "table or figure")
        if self.name == reproduce_gail.NAME:
            self._imitate()
            return
        if self.name in reproduce_meta.WHAT:
            self._learn_to_train()
            return
        experiment = EXPERIMENTS[self.name]
        look_up(SCALES, self.scale, "scale")
        look_up(dict.fromkeys(experiment.data), self.data, f"{self.name} for the data set")
        require(self.workers >= 1, f"workers must be at least 1, got {self.workers}.")
        require(
            bool(self.seeds) and len(set(self.seeds)) == len(self.seeds) and min(self.seeds) >= 0,
            f"seeds must be different numbers from 0, got {list(self.seeds)}.",
        )
        for other in self.trained:
            Run.open(other)
        folder = self.out or free_folder(Path("runs") / f"{self.name}-{self.data}-{self.scale}")
        seeds = " ".join(map(str, self.seeds))
        where = "" if self.data_dir is None else f" --data-dir {self.data_dir}"
        settings = {
            "task": "reproduce",
            "command": f"bilevel reproduce {self.name} --scale {self.scale} --data {self.data}{where} --seeds {seeds}",
            "name": self.name,
            "scale": self.scale,
            "data": self.data,
            "data_dir": self.data_dir,
            "seeds": list(self.seeds),
            "workers": self.workers,
            "trained": [str(other) for other in self.trained],
        }
        go_on(Run.create(folder, settings, overwrite=self.overwrite))

    def _imitate(self) -> None:
        """Make the study of imitation."""
        require(self.workers >= 1, f"workers must be at least 1, got {self.workers}.")
        study = {
            "environments": list(self.environments),
            "seeds": list(self.seeds),
            "updater": self.updater,
            "scale": self.scale,
            "iterations": self.iterations,
        }
        reproduce_gail.check(study)
        folder = self.out or free_folder(Path("runs") / f"gail-{self.scale}")
        words = [
            f"--{name} {' '.join(map(str, value)) if isinstance(value, list) else value}"
            for name, value in study.items()
            if value is not None
        ]
        command = f"bilevel reproduce gail {' '.join(words)}"
        settings = {"task": "reproduce", "command": command, "name": self.name, **study, "workers": self.workers}
        go_on(Run.create(folder, settings, overwrite=self.overwrite))

    def _learn_to_train(self) -> None:
        """Make a figure of the robust meta-optimizer."""
        require(self.workers >= 1, f"workers must be at least 1, got {self.workers}.")
        study: dict[str, Any] = {
            "epsilons": list(self.epsilons),
            "seeds": list(self.seeds),
            "scale": self.scale,
            "data_dir": self.data_dir,
            "windows": self.windows,
            "rule": None if self.rule is None else str(self.rule),
        }
        reproduce_meta.check(self.name, study)
        folder = self.out or free_folder(Path("runs") / f"{self.name}-{self.scale}")
        words = [
            f"--{name.replace('_', '-')} {' '.join(map(str, value)) if isinstance(value, list) else value}"
            for name, value in study.items()
            if value is not None
        ]
        command = f"bilevel reproduce {self.name} {' '.join(words)}"
        settings = {"task": "reproduce", "command": command, "name": self.name, **study, "workers": self.workers}
        go_on(Run.create(folder, settings, overwrite=self.overwrite))


def go_on(run: Run) -> None:
    """Do what is missing of a reproduction, and compare."""
    settings = run.config
    if settings["name"] == reproduce_gail.NAME:
        reproduce_gail.go_on(run)
        return
    if settings["name"] in reproduce_meta.WHAT:
        reproduce_meta.go_on(run)
        return
    experiment, scale = EXPERIMENTS[settings["name"]], SCALES[settings["scale"]]
    request = Request(
        scale, settings["data"], settings["data_dir"], seeds=tuple(settings["seeds"]), workers=settings["workers"]
    )
    configs = experiment.configs(request)
    console = Console(stderr=True)
    about = math.ceil(len(configs) * scale.minutes / request.workers)
    print(f"{experiment.what}: {scale.words}. {len(configs)} trainings, about {about} min.", flush=True)
    if taken := borrow(run, configs, [Run.open(other) for other in settings["trained"]]):
        print(f"Trained already elsewhere: {', '.join(taken)}.", flush=True)
    try:
        with Bars([part_name(config) for config in configs], console) as bars:
            experiment.work(run, request, bars)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Stopped. What is done is kept; go on with: bilevel resume {run.path}") from None
    tables = experiment.tables(run, request)
    for table in tables:
        show_table(table)
    report = write_report([run], run.path, title=experiment.what, tables=tables)
    print(f"Report: {report}")
