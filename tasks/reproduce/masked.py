"""Do the defences only look robust? The papers' two checklists, item by item."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, final

from tasks.report.tables import Cell, Table
from tasks.reproduce.defences import trainings
from tasks.reproduce.experiment import Experiment, Request
from tasks.run import Run
from tasks.vision.config import VisionConfig
from tasks.vision.masking import Verdict
from tasks.vision.sweep import Assessment, Watch, sweep

ADVERSARIAL: Final = ("PGM Net", "Grad L2L", "2-Step L2L")
INTERPOLATION: Final = {"AIT": "ait", "AIT + Grad L2L": "grad-l2l"}


@final
@dataclass(frozen=True)
class Masked(Experiment):
    """Both checklists on adversarial training and on adversarial interpolation.

    Args:
        what: what it shows.
    """

    what: str
    data: tuple[str, ...] = ("cifar10",)

    def configs(self, request: Request) -> list[VisionConfig]:
        """Return a training a row and seed."""
        return [config for configs in self._trainings(request).values() for config in configs]

    def work(self, run: Run, request: Request, watch: Watch) -> None:
        """Train, attack with and without gradients, and check."""
        attacks = ("AutoAttack", "FGSM", "PGM-20", "PGM-100", "CW-100", "Square-5000", "Random-1000", "own")
        asked = Assessment(attacks, curves=True)
        sweep(run, self.configs(request), asked, workers=request.workers, watch=watch)

    def tables(self, run: Run, request: Request) -> list[Table]:
        """Return an item a row: what was found of each defence with the first seed."""
        labels = {row: configs[0].label for row, configs in self._trainings(request).items()}
        found: dict[str, dict[str, str]] = {}
        for record in run.results():
            if record.get("finding") is not None and record["seed"] == request.seeds[0]:
                found.setdefault(record["item"], {})[record["method"]] = record["verdict"]
        rows = [
            (Cell(item), *(Cell(verdicts.get(label, "–"), best=verdicts.get(label) == Verdict.WARNING)
                           for label in labels.values()))
            for item, verdicts in found.items()
        ]  # fmt: skip
        note = "A warning is bold. The report says of each what was found, with the numbers."
        return [Table(f"{self.what}, {request.data}", ("item", *labels), tuple(rows), note)]

    def _trainings(self, request: Request) -> dict[str, list[VisionConfig]]:
        made: dict[str, list[VisionConfig]] = {
            row: list(configs) for row, configs in trainings(request.base, ADVERSARIAL, request.seeds).items()
        }
        for row, method in INTERPOLATION.items():
            made[row] = [replace(request.interpolation, method=method, seed=seed) for seed in request.seeds]
        return made
