"""A trained classifier is attacked, and what came out is written into its run."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from torch import nn

from bilevel.errors import ConfigurationError
from bilevel.starts import Uniform
from tasks.run import Run
from tasks.vision.attacks import Attack, Worst, named, pgm
from tasks.vision.build import Training
from tasks.vision.curves import accuracy_by_iterations, accuracy_by_radius
from tasks.vision.data import Images
from tasks.vision.evaluation import evaluate
from tasks.vision.examination import Progress
from tasks.vision.examples import example_figure
from tasks.vision.methods import L2L
from tasks.vision.methods.own_attack import OwnAttack

ATTACKS = ("PGM-20", "PGM-100", "CW-20", "CW-100", "Random-1000", "own", "PGM-100+CW-100")
"""What a classifier is attacked with if nothing else is asked for; ``own`` is its own learned attacker, if there is."""

RADII = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Where accuracy is measured against the radius, in multiples of ε; the whole pixel range is added."""

ITERATIONS = (0, 1, 2, 3, 5, 10, 20, 50, 100)
"""Where accuracy is measured against the number of iterations."""


def attacks_for(training: Training, names: Sequence[str], eps: float) -> list[Attack]:
    """Return the attacks that ``names`` ask for, at radius ``eps``.

    Raises:
        ConfigurationError: for an unknown name.
    """
    own = _own(training, eps)
    made: list[Attack] = []
    for name in names:
        words = [word.strip() for word in name.split("+")]
        if own is None:
            words = [word for word in words if word.lower() != "own"]
        parts = [own if own and word.lower() == "own" else named(word, eps) for word in words]
        if parts:
            made.append(parts[0] if len(parts) == 1 else Worst(*parts))
    return made


def _own(training: Training, eps: float) -> Attack | None:
    """Return the classifier's own learned attacker as an attack, if it has one."""
    method = training.config.make_method()
    if not isinstance(method, L2L):
        return None
    # On images that it never saw, a warm attacker begins as at a first visit.
    start = method.start.scaled(eps) if method.warm is None else Uniform(eps)
    return OwnAttack(training.solver.rule, eps, method.game, training.solver.steps, start)


def part(training: Training, split: str) -> Images:
    """Return a part of the data by its name.

    Raises:
        ConfigurationError: for an unknown name.
    """
    parts = {"train": training.split.train, "validation": training.split.validation, "test": training.split.test}
    if split not in parts:
        raise ConfigurationError(f"There is no part {split!r} of the data. Known are: {', '.join(parts)}.")
    return parts[split]


def identity(training: Training, split: str) -> dict[str, Any]:
    """Return what every record of a trained classifier says about it."""
    config = training.config
    return {
        "task": config.task,
        "method": config.label,
        "kind": "learned" if isinstance(training.solver.rule, nn.Module) else "hand-written",
        "data": config.data,
        "seed": config.seed,
        "split": split,
    }


def write_results(
    training: Training,
    run: Run,
    attacks: Sequence[Attack],
    *,
    split: str = "test",
    seconds: float | None = None,
    progress: Progress | None = None,
) -> None:
    """Attack the classifier and add the accuracies to the run's results.

    Args:
        training: the trained parts.
        run: where the results go.
        attacks: the attacks.
        split: the part of the data that is attacked: test, validation or train.
        seconds: how long the training took.
        progress: called as `evaluate` calls it.
    """
    results = evaluate(training.model, part(training, split), attacks, progress=progress)
    known = identity(training, split) | ({} if seconds is None else {"seconds": seconds})
    run.append_results({**known, **dataclasses.asdict(result)} for result in results)


def write_curves(
    training: Training,
    run: Run,
    *,
    split: str = "test",
    eps: float | None = None,
    radii: Sequence[float] = RADII,
    iterations: Sequence[int] = ITERATIONS,
    progress: Progress | None = None,
) -> None:
    """Add the accuracy against the radius and against the number of iterations to the run's curves.

    Args:
        training: the trained parts.
        run: where the curves go.
        split: the part of the data.
        eps: the radius; ``None`` is the one of the training.
        radii: in multiples of ``eps``; those above 1 in all are left out, and 1 itself is added.
        iterations: numbers of steps of PGM at ``eps``, ascending.
        progress: called as `evaluate` calls it.
    """
    eps = training.config.eps if eps is None else eps
    images = part(training, split)
    known = identity(training, split)
    scaled = [*(r * eps for r in radii if r * eps < 1), 1.0]
    points = accuracy_by_radius(training.model, images, scaled, progress=progress)
    points += accuracy_by_iterations(
        training.model, images, iterations, attack=pgm(eps, max(iterations)), progress=progress
    )
    run.append_curves({**known, **dataclasses.asdict(point)} for point in points)


def write_examples(training: Training, run: Run, attacks: Sequence[Attack], *, split: str = "test") -> None:
    """Draw some perturbed images into the run's figures."""
    figure = example_figure(training.model, part(training, split), attacks)
    name = training.config.label
    figure.savefig(
        run.figures / f"examples-{name}.png", dpi=110, metadata={"Description": f"{name}, seed {training.config.seed}"}
    )
