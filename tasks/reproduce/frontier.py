"""Robust accuracy against training time: the frontier of hand-written attackers, and every learned one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final, final

from tasks.report.material import gather
from tasks.report.methods import settings
from tasks.report.tables import Table, frontier_table, main_table
from tasks.reproduce.experiment import Experiment, Request
from tasks.reproduce.step_times import even_seconds
from tasks.run import Run
from tasks.vision.config import DROConfig
from tasks.vision.sweep import Assessment, Watch, sweep

BY_HAND: Final[tuple[dict[str, Any], ...]] = (
    {"method": "fgsm"},
    {"method": "fgsm-rs"},
    {"method": "warm-fgsm"},
    *(
        {"method": "pgm", "pgm_start": "uniform", "pgm_steps": k, "pgm_step": step}
        for k, step in ((2, 0.75), (3, 0.5), (5, 0.4), (10, 0.25))
    ),
)
"""The hand-written attackers; PGM's steps are as long as is usual for their number."""
LEARNED: Final = (
    "naive-l2l", "grad-only-l2l", "grad-l2l", "2-step-grad-only-l2l", "2-step-l2l", "k-step-l2l", "warm-l2l",
    "teacher-l2l",
)  # fmt: skip


@final
@dataclass(frozen=True)
class Frontier(Experiment):
    """Every attacker at one radius, with what its training took.

    Args:
        what: what it shows.
        changes: what all of its trainings change of the scale's.
        data: the data sets that it is for.
        but: ``changes`` in words, if they are of the network or its training.
    """

    what: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    data: tuple[str, ...] = ("cifar10",)
    but: str = ""
    divisible: ClassVar[bool] = True

    def words(self, request: Request) -> str:
        """Return the scale's words, and what differs."""
        return f"{request.scale.words}; but {self.but}" if self.but else request.scale.words

    def configs(self, request: Request) -> list[DROConfig]:
        """Return a training an attacker and seed."""
        base = replace(request.base, **self.changes)
        methods = (*BY_HAND, *request.scale.learned(LEARNED))
        every = (replace(base, seed=seed, **method) for method in methods for seed in request.seeds)
        return [config for config in every if request.wants(config)]

    def work(self, run: Run, request: Request, watch: Watch) -> None:
        """Train and attack, then time the trainings against each other."""
        attacks, configs = Assessment(("AutoAttack", "PGM-20", "own")), self.configs(request)
        sweep(run, configs, attacks, workers=request.workers, watch=watch)
        even_seconds(run, configs, request)

    def tables(self, run: Run, request: Request) -> list[Table]:
        """Return all accuracies, and how far each learned attacker lies above the frontier."""
        made = []
        for setting in settings(gather([run]).results):
            made += [main_table(setting), frontier_table(setting)]
        return [table for table in made if table is not None]
