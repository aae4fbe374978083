"""Robust accuracy against the radius and against the number of iterations: Figure 3, and Figure 9 of the preprint."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from tasks.report.tables import Cell, Table
from tasks.reproduce.defences import trainings
from tasks.reproduce.experiment import Experiment, Request
from tasks.reproduce.parts import trained
from tasks.run import Run
from tasks.vision.assess import journal_of
from tasks.vision.attacks import PGM, pgm
from tasks.vision.config import DROConfig
from tasks.vision.curves import accuracy_by_iterations, accuracy_by_radius
from tasks.vision.subject import identity
from tasks.vision.sweep import Assessment, Watch, sweep

ROWS: Final = ("PGM Net", "Grad L2L", "2-Step L2L")
MULTIPLES: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""Radii of Figure 3, in multiples of ε."""
TENTHS: Final = tuple(tenth / 10 for tenth in range(3, 11))
"""Radii of the preprint's Figure 9 that are larger."""
ITERATIONS: Final = (1, 2, 3, 5, 10, 20, 50, 100)


@final
@dataclass(frozen=True)
class Curves(Experiment):
    """PGM of ten steps at many radii, and of many steps at one.

    Args:
        what: what it shows.
    """

    what: str
    data: tuple[str, ...] = ("cifar10", "cifar100")

    def configs(self, request: Request) -> list[DROConfig]:
        """Return a training a row and seed."""
        return [config for configs in self._trainings(request).values() for config in configs]

    def work(self, run: Run, request: Request, watch: Watch) -> None:
        """Train, then measure the curves."""
        sweep(run, self.configs(request), Assessment(("AutoAttack", "PGM-20")), workers=request.workers, watch=watch)
        done = {(point["method"], point["seed"]) for point in run.curves()}
        for config in self.configs(request):
            if (config.label, config.seed) in done:
                continue
            training = trained(run, config)
            eps, images, known = config.eps, training.split.test, identity(training, "test")
            radii = sorted({multiple * eps for multiple in MULTIPLES} | set(TENTHS))
            model, journal, longest = training.model, journal_of(run), pgm(eps, max(ITERATIONS))
            points = accuracy_by_radius(model, images, radii, attack=ten_steps, journal=journal)
            points += accuracy_by_iterations(model, images, ITERATIONS, attack=longest, journal=journal)
            run.append_curves(known | dataclasses.asdict(point) for point in points)
            journal.finish()

    def tables(self, run: Run, request: Request) -> list[Table]:
        """Return the mean accuracies, and the gain over PGM Net."""
        labels = {row: configs[0].label for row, configs in self._trainings(request).items()}
        return [
            _table(f"{self.what}: against {words}, {request.data}", run.curves(), curve, labels)
            for curve, words in (("eps", "the radius (PGM-10)"), ("iterations", "iterations at the training's radius"))
        ]

    def _trainings(self, request: Request) -> dict[str, list[DROConfig]]:
        return trainings(request.base, ROWS, request.seeds)


def ten_steps(eps: float) -> PGM:
    """Return PGM of ten steps of ε/10 from the clean image, as the preprint's Figure 9 seems to have it."""
    return PGM(eps, steps=10, step_size=eps / 10)


def _table(caption: str, points: Sequence[Mapping[str, Any]], curve: str, labels: Mapping[str, str]) -> Table:
    """Return a column an abscissa: the mean over the seeds, and the gain over the first row."""
    found: dict[tuple[str, float], list[float]] = {}
    for point in points:
        if point["curve"] == curve:
            found.setdefault((point["method"], point["x"]), []).append(100 * point["robust"])
    means = {key: sum(values) / len(values) for key, values in found.items()}
    columns = sorted({x for _, x in means})
    first = next(iter(labels.values()))
    rows = []
    for row, label in labels.items():
        cells = [Cell(row)]
        for x in columns:
            gain = means[label, x] - means[first, x]
            cells.append(Cell(f"{means[label, x]:.1f}", error="" if label == first else f"({gain:+.1f})"))
        rows.append(tuple(cells))
    note = (
        f"Accuracy in per cent; in brackets the gain over {next(iter(labels))}. The papers printed curves, no numbers."
    )
    return Table(caption, ("defence", *(f"{x:g}" for x in columns)), tuple(rows), note, numeric=True)
