"""The tables and figures of adversarial training and adversarial interpolation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, final

from tasks.commands.bars import bars_of
from tasks.commands.base import require
from tasks.commands.reproduction import Reproduction
from tasks.commands.summary import show_table
from tasks.names import look_up
from tasks.report import write_report
from tasks.reproduce.experiment import Experiment, Request
from tasks.reproduce.scale import SCALES
from tasks.run import Run
from tasks.vision.borrow import borrow
from tasks.vision.sweep import part_name
from tasks.vision.tables import PRECISIONS


@final
@dataclass(frozen=True)
class Classifiers(Reproduction):
    """One of `tasks.reproduce.experiments.EXPERIMENTS`.

    Args:
        name: its name.
        experiment: what it needs.
    """

    options: ClassVar[tuple[str, ...]] = ("scale", "data", "data_dir", "seeds", "precision", "only", "trained")

    name: str
    experiment: Experiment

    def complete(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Fill in the data set."""
        return {**settings, "data": settings["data"] or self.experiment.data[0]}

    def check(self, settings: Mapping[str, Any]) -> None:
        """Look up all names, and the runs that may hold trainings."""
        look_up(SCALES, settings["scale"], "scale")
        look_up(dict.fromkeys(self.experiment.data), settings["data"], f"{self.name} for the data set")
        seeds = settings["seeds"]
        require(
            bool(seeds) and len(set(seeds)) == len(seeds) and min(seeds) >= 0,
            f"seeds must be different numbers from 0, got {seeds}.",
        )
        look_up(PRECISIONS, settings["precision"], "precision")
        for other in settings["trained"]:
            Run.open(other)
        if settings["only"]:
            require(self.experiment.divisible, f"{self.name} can only be made whole; leave --only out.")
            request = replace(_request(settings), only=())
            known = dict.fromkeys(config.label for config in self.experiment.configs(request))
            for label in settings["only"]:
                look_up(known, label, f"method of {self.name}")

    def stem(self, settings: Mapping[str, Any]) -> str:
        """Return name, data and scale."""
        return f"{self.name}-{settings['data']}-{settings['scale']}"

    def go_on(self, run: Run) -> None:
        """Train and attack what is missing."""
        settings, experiment = run.config, self.experiment
        request = _request(settings)
        configs = experiment.configs(request)
        words = f"{experiment.what}: {experiment.words(request)}"
        about = math.ceil(len(configs) * request.scale.minutes / request.workers)
        print(f"{words}. {len(configs)} trainings, about {about} min.", flush=True)
        if taken := borrow(run, configs, [Run.open(Path(other)) for other in settings["trained"]]):
            print(f"Trained already elsewhere: {', '.join(taken)}.", flush=True)
        with bars_of(run, [part_name(config) for config in configs]) as bars:
            experiment.work(run, request, bars)
        tables = experiment.tables(run, request)
        for table in tables:
            show_table(table)
        print(f"Report: {write_report([run], run.path, title=experiment.what, tables=tables)}")


def _request(settings: Mapping[str, Any]) -> Request:
    """Return what settings ask for. Those that are only to be checked name no workers, and older runs less."""
    return Request(
        scale=SCALES[settings["scale"]],
        data=settings["data"],
        data_dir=settings["data_dir"],
        seeds=tuple(settings["seeds"]),
        workers=settings.get("workers", 1),
        precision=settings.get("precision", "32-true"),
        only=tuple(settings.get("only", ())),
    )
