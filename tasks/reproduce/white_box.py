"""Accuracy under white-box attacks: Tables 2 and 8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from tasks.report.tables import Table
from tasks.reproduce.comparison import accuracy_table
from tasks.reproduce.defences import DEFENCES, NOTHING, trainings
from tasks.reproduce.experiment import Experiment, Request
from tasks.reproduce.published import Published
from tasks.reproduce.step_times import even_seconds
from tasks.run import Run
from tasks.vision.config import DROConfig
from tasks.vision.sweep import Assessment, Watch, sweep


@final
@dataclass(frozen=True)
class WhiteBox(Experiment):
    """Every defence against every attack, AutoAttack first.

    Args:
        what: what it shows.
        published: the printed tables by the data set's name.
        rows: the defences that are trained.
        slim: whether the learned attackers are the slim ones.
    """

    what: str
    published: dict[str, Published]
    rows: tuple[str, ...] = tuple(DEFENCES)
    slim: bool = False
    divisible: ClassVar[bool] = True

    @property
    def data(self) -> tuple[str, ...]:
        """The data sets that have a table."""
        return tuple(self.published)

    def configs(self, request: Request) -> list[DROConfig]:
        """Return a training a defence and seed."""
        return [config for configs in self._trainings(request).values() for config in configs]

    def work(self, run: Run, request: Request, watch: Watch) -> None:
        """Train and attack, then time the trainings against each other."""
        attacks, configs = Assessment(tuple(request.scale.attacks.values())), self.configs(request)
        sweep(run, configs, attacks, workers=request.workers, watch=watch)
        even_seconds(run, configs, request)

    def tables(self, run: Run, request: Request) -> list[Table]:
        """Return the table beside the printed one."""
        rows = {row: configs[0].label for row, configs in self._trainings(request).items()}
        columns = {"clean": "clean"} | request.scale.columns
        published = self.published[request.data]
        caption, remark = f"{self.what}, {request.data}", request.scale.substitutes
        return [accuracy_table(caption, run.results(), published, rows, columns, remark=remark)]

    def _trainings(self, request: Request) -> dict[str, list[DROConfig]]:
        attacker = request.scale.slim if self.slim else NOTHING
        every = trainings(request.base, self.rows, request.seeds, attacker=attacker)
        return {row: configs for row, configs in every.items() if all(map(request.wants, configs))}
