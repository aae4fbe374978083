"""Adversarial interpolation, and what AutoAttack makes of it: Table 4."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, final

from tasks.report.tables import Table
from tasks.reproduce.comparison import accuracy_table
from tasks.reproduce.experiment import Experiment, Request
from tasks.reproduce.published import TABLE4
from tasks.run import Run
from tasks.vision.config import AITConfig
from tasks.vision.sweep import Assessment, Watch, sweep

ATTACKS: Final = ("AutoAttack", "PGM-20", "PGM-100", "CW-20", "CW-100", "own")
ROWS: Final = {"AIT": "ait", "AIT + Grad L2L": "grad-l2l"}


@final
@dataclass(frozen=True)
class AdversarialInterpolation(Experiment):
    """Adversarial interpolation by hand and by a learned attacker.

    Args:
        what: what it shows.
    """

    what: str
    data: tuple[str, ...] = ("cifar10",)

    def configs(self, request: Request) -> list[AITConfig]:
        """Return a training a row and seed."""
        return [config for configs in self._trainings(request).values() for config in configs]

    def work(self, run: Run, request: Request, watch: Watch) -> None:
        """Train and attack."""
        sweep(run, self.configs(request), Assessment(ATTACKS), workers=request.workers, watch=watch)

    def tables(self, run: Run, request: Request) -> list[Table]:
        """Return the table beside the printed one; AutoAttack was not printed."""
        rows = {row: configs[0].label for row, configs in self._trainings(request).items()}
        columns = {"clean": "clean"} | {name: "own attacker" if name == "own" else name for name in ATTACKS}
        return [accuracy_table(f"{self.what}, {request.data}", run.results(), TABLE4, rows, columns)]

    def _trainings(self, request: Request) -> dict[str, list[AITConfig]]:
        base = request.interpolation
        return {
            row: [replace(base, method=method, seed=seed) for seed in request.seeds] for row, method in ROWS.items()
        }
