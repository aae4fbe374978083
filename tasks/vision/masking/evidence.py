"""What is known of a classifier's robustness when the masking check is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

from tasks.vision.masking.probe import Probe

GRADIENT, OUTPUTS, SURROGATE, ALL = "gradient", "outputs", "surrogate", "all"


@final
@dataclass(frozen=True, slots=True)
class Measured:
    """A robust accuracy.

    Attributes:
        attack: the attack's name.
        robust: the accuracy under it, in [0, 1].
        looks: what of the classifier the attack looks at, as `Attack.looks` says.
        steps: how many steps it takes, where it says.
        step_size: of which length.
        start: where it begins.
    """

    attack: str
    robust: float
    looks: str
    steps: int | None = None
    step_size: float | None = None
    start: str | None = None

    @property
    def words(self) -> str:
        """The attack with its accuracy."""
        return f"{self.attack} ({percent(self.robust)} %)"


@final
@dataclass(frozen=True)
class Evidence:
    """Accuracies of one classifier on one set of images within one ball.

    Attributes:
        clean: without an attack.
        n: on how many images.
        eps: the ball's radius.
        measured: under attacks.
        by_radius: (ε, robust) under PGM, ascending.
        by_iterations: (iterations, robust) under PGM, ascending.
        probe: what was asked of the classifier itself.
        training: what it was trained with, in a word.
    """

    clean: float
    n: int
    eps: float
    measured: tuple[Measured, ...]
    by_radius: tuple[tuple[float, float], ...]
    by_iterations: tuple[tuple[float, float], ...]
    probe: Probe
    training: str = ""

    @classmethod
    def of(
        cls, records: Iterable[Mapping[str, Any]], curves: Iterable[Mapping[str, Any]], probe: Probe, training: str = ""
    ) -> Evidence:
        """Return the evidence in flat records, as a run keeps them, all of one classifier, image set and ball.

        Args:
            records: of the attacks, at least one.
            curves: of the accuracy against radius and iterations; where there is none, the probe's are taken.
            probe: of the classifier.
            training: what it was trained with.
        """
        rows = [record for record in records if record.get("robust") is not None]
        measured = tuple(
            Measured(
                record["attack"],
                record["robust"],
                record.get("looks") or GRADIENT,
                record.get("steps"),
                record.get("step_size"),
                record.get("start"),
            )
            for record in rows
        )
        points: dict[str, dict[float, float]] = {"eps": {}, "iterations": {}}
        for point in curves:
            if str(point.get("attack", "")).startswith("PGM"):
                points[point["curve"]][float(point["x"])] = float(point["robust"])
        by_radius, by_iterations = (tuple(sorted(points[name].items())) for name in ("eps", "iterations"))
        first = rows[0]
        return cls(
            clean=first["clean"],
            n=first["n"],
            eps=first["eps"],
            measured=measured,
            by_radius=by_radius or probe.by_radius,
            by_iterations=by_iterations or probe.by_iterations,
            probe=probe,
            training=training,
        )

    def all_that(self, *looks: str) -> list[Measured]:
        """Return what was measured by attacks that look at these."""
        return [one for one in self.measured if one.looks in looks]

    def strongest(self, *looks: str) -> Measured | None:
        """Return the attack of the lowest accuracy among those that look at these, if there is one."""
        return min(self.all_that(*looks), key=lambda one: one.robust, default=None)

    @property
    def iterative(self) -> list[Measured]:
        """Attacks by gradients that take several steps."""
        return [one for one in self.all_that(GRADIENT) if one.steps is None or one.steps > 1]

    @property
    def tolerance(self) -> float:
        """By how much accuracies must differ to be called different: a point, and two images."""
        return max(0.01, 2 / self.n)


def percent(accuracy: float) -> str:
    """Return an accuracy as a percentage with one decimal."""
    return f"{100 * accuracy:.1f}"
