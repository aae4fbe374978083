"""Attacking a trained classifier, or playing with a policy that imitates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, final

import torch
import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bilevel.counts import check_count
from tasks.commands import evaluate_gail
from tasks.commands.base import Command, require
from tasks.commands.summary import show
from tasks.commands.train_vision import config_of
from tasks.report import write_report
from tasks.run import Run
from tasks.vision import assess
from tasks.vision.build import Training
from tasks.vision.examination import Progress as Heard
from tasks.vision.rivals import attackers, transfers
from tasks.vision.subject import first_images
from tasks.vision.train import device_of, restore


@final
@dataclass(frozen=True)
class Evaluate(Command):
    """Attack a trained classifier, or let a policy that imitates play.

    What an attack has done is kept: after a stop, the same command goes on from there.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    """The folder of its run."""

    attacks: tuple[str, ...] | None = None
    """AutoAttack, FGSM, PGM-<steps>, PGM-<steps>:<start> (tiny, zero, ball, code or gaussian), CW-<steps>,
    CW-search-<iterations>, APGD-CE-<steps>, APGD-CW-<steps>, APGD-T-<steps>, Square-<queries>, Random-<draws>, own (its
    own learned attacker), or several joined by +, which stand for the worst of them. None: AutoAttack (if it is
    installed), FGSM, PGM-20, PGM-100, CW-20, CW-100, Random-1000, own, PGM-100+CW-100."""

    surrogates: tuple[Path, ...] = ()
    """Black-box attacks too: images made by FGSM and PGM-10 against the classifiers of these runs."""

    attackers: tuple[Path, ...] = ()
    """The learned attackers of these runs too, let loose on this classifier."""

    eps: float | None = None
    """The radius; by default the one of the training."""

    split: str = "test"
    """The part of the data: test, validation or train."""

    images: int | None = None
    """Attack the first so many images only; by default all."""

    batch_size: int = 500
    """How many images go through the classifier at a time; halved when memory runs out."""

    curves: bool = True
    """Measure the accuracy against the radius and against the number of iterations too."""

    device: str = "cpu"
    """Where to attack: auto (the fastest that is there), cpu, cuda or mps."""

    threads: int | None = None
    """How many CPU cores PyTorch uses; by default as many as in the training."""

    episodes: int = 100
    """Of a policy: how many fresh episodes it plays."""

    deterministic: bool = False
    """Of a policy: let it take its likeliest action, in place of drawing one."""

    film: bool = False
    """Of a policy: draw an episode, as figures/episode.gif and figures/episode.png."""

    def run(self) -> None:
        """Attack or play, write the results into the run, and show them."""
        check_count("batch_size", self.batch_size)
        run = Run.open(self.folder)
        if run.config.get("task") == "gail":
            evaluate_gail.evaluate(run, episodes=self.episodes, deterministic=self.deterministic, film=self.film)
            return
        threads = config_of(run).threads if self.threads is None else self.threads
        if threads is not None:
            check_count("threads", threads)
            torch.set_num_threads(threads)
        training = self._restored(run)
        eps = training.config.eps if self.eps is None else self.eps
        if self.images is not None:
            training = first_images(training, self.split, self.images)
        foreign = attackers([self._restored(Run.open(folder)) for folder in self.attackers], eps)
        attacks = assess.attacks_for(training, self.attacks or assess.usual_attacks(), eps)
        attacks += foreign
        attacks += transfers(training, [self._restored(Run.open(folder)) for folder in self.surrogates], eps)
        require(bool(attacks), "No attack is left: `own` needs a run with a learned attacker.")
        with _bar() as progress:
            # First the curves, so that the masking check knows them.
            if self.curves:
                assess.write_curves(
                    training, run, split=self.split, eps=eps, batch_size=self.batch_size, progress=progress
                )
            assess.write_results(
                training,
                run,
                attacks,
                split=self.split,
                seconds=_seconds(run),
                batch_size=self.batch_size,
                progress=progress,
            )
        assess.write_examples(training, run, foreign, split=self.split, eps=eps)
        show([run])
        report = write_report([run], run.path, title=f"{run.name}")
        print(f"Report: {report}")

    def _restored(self, run: Run) -> Training:
        settings = config_of(run)
        return restore(settings, run.path, device=device_of(replace(settings, device=self.device)))


@contextmanager
def _bar() -> Iterator[Heard]:
    """Draw a bar for the attack that is going on; silent where there is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bars:
        bar = bars.add_task("")
        yield lambda done, total, attack: bars.update(bar, description=attack, completed=done, total=total)


def _seconds(run: Run) -> float | None:
    """Return how long the run was trained, if its log says so."""
    import csv

    if not run.metrics.is_file():
        return None
    with run.metrics.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return sum(float(row["seconds"]) for row in rows) if rows and "seconds" in rows[0] else None
