"""A contestant at work: its training, and what it came to."""

from __future__ import annotations

import csv
import itertools
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from bilevel.errors import NonFiniteError, SolverWarning
from bilevel.fit import Fitted, fit
from tasks.cleaning.contestants import Contestant
from tasks.cleaning.data import CleaningData, Labelled
from tasks.cleaning.metrics import Detection, accuracy, detection
from tasks.cleaning.models import Weights
from tasks.cleaning.setting import Setting
from tasks.memory import peak_memory

MEASURED_STEPS = 2
"""Memory is measured over so many steps: the second holds what the first left, and a later one holds no more."""


@final
@dataclass(frozen=True, eq=False)
class Outcome:
    """What a contestant came to.

    Attributes:
        method: the contestant's name.
        model: the classifier's name.
        record: the numbers at the end, flat.
        rows: the numbers while it went on.
        weights: the weight of each training sample; ``None`` for one who gives none, or whose numbers did not stay
            finite.
        wrong: which training samples have a wrong label.
    """

    method: str
    model: str
    record: dict[str, Any]
    rows: tuple[dict[str, float], ...]
    weights: Float[Tensor, " n"] | None
    wrong: Bool[Tensor, " n"]

    @classmethod
    def read(cls, record: Mapping[str, Any], folder: Path, data: CleaningData) -> Outcome:
        """Return what a trial that is done left behind.

        Args:
            record: its numbers at the end.
            folder: where it wrote.
            data: on what it was.
        """
        weights = folder / "weights.csv"
        return cls(
            record["method"],
            record["model"],
            dict(record),
            tuple(
                {name: float(value) for name, value in row.items() if value} for row in _rows(folder / "metrics.csv")
            ),
            torch.tensor([float(row["weight"]) for row in _rows(weights)], dtype=data.train.x.dtype)
            if weights.exists()
            else None,
            data.wrong,
        )


@final
class Trial:
    """A contestant on a setting.

    Args:
        contestant: who.
        setting: on what.
    """

    def __init__(self, contestant: Contestant, setting: Setting) -> None:
        self.contestant = contestant
        self.setting = setting
        self.solver = contestant.solver(setting)

    def run(self, folder: Path, *, progress: bool = False, resume_hint: str | None = None) -> Outcome:
        """Train, from the folder's last checkpoint if there is one, then measure.

        While it trains, the held-out samples show how it does; the test samples are looked at once, at the end, with
        the `Contestant.classifier`. The time is that of training alone; memory is counted in another training.

        Args:
            folder: where ``metrics.csv`` and ``checkpoints/`` go and, for one who weighs the samples, ``weights.csv``.
            progress: whether a bar is drawn.
            resume_hint: what the user is told to do to go on after a stop.

        Returns:
            The outcome. Its record says ``diverged``, and no accuracies, if a number did not stay finite.
        """
        setting, contestant = self.setting, self.contestant
        fitted, classifiers = None, None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(setting.seed)
            with solver_warnings(f"{setting.model} {contestant.name}") as told, suppress(NonFiniteError):
                fitted = self._train(folder, progress, resume_hint)
                classifiers = self._classifiers()
            with warnings.catch_warnings(action="ignore", category=SolverWarning):  # they were told
                peak = peak_of(contestant, setting)
        record = self._record(fitted, classifiers) | {"solver_warnings": len(told), "peak_memory_mb": peak / 1e6}
        weights = None if classifiers is None else contestant.sample_weights(self.solver)
        if weights is not None:
            _write(folder / "weights.csv", weights, setting.data)
        return Outcome.read(record, folder, setting.data)

    def _train(self, folder: Path, progress: bool, resume_hint: str | None) -> Fitted:
        config = self.setting.config
        return fit(
            self.solver,
            self.contestant.batches(self.setting),
            epochs=config.steps // config.evaluate_every,
            folder=folder,
            resume=True,
            keep=1,
            evaluate=self._evaluate,
            progress=progress,
            title=f"{self.setting.model} {self.contestant.name}",
            resume_hint=resume_hint,
        )

    def _evaluate(self) -> dict[str, float]:
        z = self.solver.answer  # none between two episodes, and for one that starts anew
        numbers = {"held_out_accuracy": self._accuracy(z, self.setting.data.held_out)} | self._detection()
        return {name: value for name, value in numbers.items() if value is not None}

    def _classifiers(self) -> tuple[Weights, Weights | None]:
        made = self.contestant
        return made.classifier(self.solver, self.setting), made.classifier_with_validation(self.solver, self.setting)

    def _record(self, fitted: Fitted | None, classifiers: tuple[Weights, Weights | None] | None) -> dict[str, Any]:
        config, data = self.setting.config, self.setting.data
        alone, both = classifiers or (None, None)
        return {
            "task": "cleaning",
            "data": data.name,
            "method": self.contestant.name,
            "model": self.setting.model,
            "seed": self.setting.seed,
            "follower": config.follower,
            "noise": config.noise,
            "steps": self.solver.step_count,
            "inner_steps": config.inner_steps,
            "diverged": classifiers is None,
            "test_accuracy": self._accuracy(alone, data.test),
            "held_out_accuracy": self._accuracy(alone, data.held_out),
            "test_with_validation": self._accuracy(both, data.test),
            "held_out_with_validation": self._accuracy(both, data.held_out),
            **(asdict(Detection()) if classifiers is None else self._detection()),
            "seconds": fitted.seconds if fitted else None,
        }

    def _accuracy(self, z: Weights | None, samples: Labelled) -> float | None:
        return None if z is None else accuracy(self.setting.classifier, z, samples)

    def _detection(self) -> dict[str, float | None]:
        weights = self.contestant.sample_weights(self.solver)
        return asdict(Detection() if weights is None else detection(weights, self.setting.data.wrong))


@contextmanager
def solver_warnings(who: str) -> Iterator[list[str]]:
    """Within the context keep what hypergradients say about their inner solvers; afterwards say the last of it once.

    Args:
        who: whose they are.

    Yields:
        The messages, one a step that had one.
    """
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SolverWarning)
        try:
            yield told
        finally:
            told += [str(one.message) for one in caught if issubclass(one.category, SolverWarning)]
    for one in caught:
        if not issubclass(one.category, SolverWarning):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if told:
        warnings.warn(f"{who}, {len(told)} times, the last time: {told[-1]}", SolverWarning, stacklevel=2)


def peak_of(contestant: Contestant, setting: Setting) -> int:
    """Return the bytes that the players and `MEASURED_STEPS` of their steps take at the peak, beside the data."""
    batches = list(itertools.islice(contestant.batches(setting), MEASURED_STEPS))

    def work() -> object:
        solver = contestant.solver(setting)
        for batch in batches:
            solver.step(batch)
        return solver

    return peak_memory(work)


def _rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table; none if there is no such file, as of one who diverged before the first row."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write(path: Path, weights: Float[Tensor, " n"], data: CleaningData) -> None:
    """Write a row for each training sample."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["sample", "weight", "given", "truth"])
        rows = zip(weights.tolist(), data.train.y.tolist(), data.truth.tolist(), strict=True)
        table.writerows([number, *row] for number, row in enumerate(rows))
