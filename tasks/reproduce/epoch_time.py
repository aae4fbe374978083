"""Seconds an epoch: Table 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from tasks.report.tables import Cell, Table
from tasks.reproduce.defences import trainings
from tasks.reproduce.experiment import Experiment, Request
from tasks.reproduce.published import TABLE3
from tasks.reproduce.step_times import ROUNDS, epoch_times
from tasks.run import Run
from tasks.vision.build import build
from tasks.vision.config import DROConfig
from tasks.vision.sweep import Watch
from tasks.vision.train import device_of


@final
@dataclass(frozen=True)
class EpochTime(Experiment):
    """How long an epoch of each training takes, from steps that take turns in one process.

    Args:
        what: what it shows.
    """

    what: str
    data: tuple[str, ...] = TABLE3.columns

    def configs(self, request: Request) -> list[DROConfig]:
        """Return none: nothing is trained to its end."""
        return []

    def work(self, run: Run, request: Request, watch: Watch) -> None:
        """Time the steps."""
        rows = trainings(request.base, tuple(TABLE3.rows), request.seeds[:1])
        made = {row: build(configs[0], device=device_of(configs[0])) for row, configs in rows.items()}
        run.append_results(epoch_times(made, request))

    def tables(self, run: Run, request: Request) -> list[Table]:
        """Return seconds and multiples of plain training beside the printed ones."""
        records = {record["method"]: record for record in run.results()}
        base, printed_base = records["Plain"]["seconds_an_epoch"], TABLE3.number("Plain", request.data) or 1.0
        rows = []
        for row, record in records.items():
            middle, printed = record["seconds_an_epoch"], TABLE3.number(row, request.data) or 0.0
            spread = f"({record['lower_quartile']:.1f} to {record['upper_quartile']:.1f})"
            rows.append(
                (
                    Cell(row),
                    Cell(f"{middle:.1f} / {printed:g}", error=spread),
                    Cell(f"{middle / base:.2f} / {printed / printed_base:.2f}"),
                )
            )
        note = (
            f"Measured here ({request.scale.words}) / printed in {TABLE3.source}. Medians and quartiles of {ROUNDS} "
            f"steps that took turns, times the steps an epoch. {TABLE3.doubt}"
        )
        return [Table(f"{self.what}, {request.data}", ("defence", "seconds an epoch", "of plain"), tuple(rows), note)]
