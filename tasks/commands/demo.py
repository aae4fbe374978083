"""The main job on embedded data: every defence, side by side."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from tasks.commands.bars import bars_of
from tasks.commands.base import Command, RunFolder, free_folder, require
from tasks.commands.summary import show
from tasks.report import write_report
from tasks.run import Run
from tasks.vision.config import DROConfig
from tasks.vision.presets import DEFAULT, PRESETS
from tasks.vision.sweep import Assessment, part_name, sweep

ATTACKS = ("PGM-100+CW-100", "PGM-20", "own")
"""The worst of two strong attacks first; every table leads with it."""


def defences(epochs: int, seed: int) -> list[DROConfig]:
    """Return every defence of the demonstration, the cheap ones first."""
    base = replace(PRESETS[DEFAULT], data="digits", epochs=epochs, seed=seed)
    by_hand = [
        replace(base, method="plain"),
        replace(base, method="fgsm"),
        replace(base, method="fgsm-rs"),
        replace(base, method="warm-fgsm"),
        *(replace(base, method="pgm", pgm_steps=k, pgm_step=0.75, pgm_start="uniform") for k in (2, 3)),
        replace(base, method="pgm", pgm_steps=10, pgm_step=0.25, pgm_start="uniform"),
    ]
    learned = (
        "naive-l2l",
        "grad-only-l2l",
        "grad-l2l",
        "2-step-grad-only-l2l",
        "2-step-l2l",
        "k-step-l2l",
        "warm-l2l",
    )
    return [*by_hand, *(replace(base, method=name) for name in learned)]


@final
@dataclass(frozen=True)
class Demo(Command):
    """Train every defence on scikit-learn's digits, attack them all, and leave a report."""

    run_folder: RunFolder = None
    """The folder of the run, a new one; by default runs/demo."""

    epochs: int = 40
    """How often each defence goes through the training images."""

    seeds: tuple[int, ...] = (0,)
    """One comparison for each: the split of the data, the first weights and the order of the images depend on it."""

    workers: int = min(2, os.cpu_count() or 1)
    """How many defences are trained at a time."""

    overwrite: bool = False
    """Remove the run that is in that folder already."""

    def run(self) -> None:
        """Train, attack, compare."""
        require(self.epochs >= 1, f"epochs must be at least 1, got {self.epochs}.")
        require(
            bool(self.seeds) and len(set(self.seeds)) == len(self.seeds) and min(self.seeds) >= 0,
            f"seeds must be different numbers from 0, got {list(self.seeds)}.",
        )
        require(self.workers >= 1, f"workers must be at least 1, got {self.workers}.")
        folder = self.run_folder or free_folder(Path("runs") / "demo")
        seeds = " ".join(map(str, self.seeds))
        command = f"bilevel demo --epochs {self.epochs} --seeds {seeds} --workers {self.workers}"
        settings = {
            "task": "demo",
            "command": command,
            "epochs": self.epochs,
            "seeds": list(self.seeds),
            "workers": self.workers,
        }
        go_on(Run.create(folder, settings, overwrite=self.overwrite))


def go_on(run: Run) -> None:
    """Do what is missing of a demonstration, and compare."""
    settings = run.config
    seeds = settings["seeds"]
    configs = [config for seed in seeds for config in defences(settings["epochs"], seed)]
    print(
        f"Training {len(configs)} defences on scikit-learn's digits (8 x 8 images, eps = {configs[0].eps}) and "
        f"attacking each: about {math.ceil(len(seeds) * (0.5 + settings['epochs'] / 20))} min on 2 cores.",
        flush=True,
    )
    asked = Assessment(ATTACKS, curves=True, examples=True)
    with bars_of(run, [part_name(config) for config in configs]) as bars:
        sweep(run, configs, asked, workers=settings["workers"], watch=bars)
    show([run])
    print(f"Report: {write_report([run], run.path, title='Robust digits: every defence, side by side')}")
