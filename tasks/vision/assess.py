"""A trained classifier is attacked, and what came out is written into its run."""

from __future__ import annotations

import dataclasses
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.run import Run
from tasks.vision.attacks import Attack, Worst, auto_attack, fgsm, named, pgm
from tasks.vision.build import Training
from tasks.vision.curves import accuracy_by_iterations, accuracy_by_radius
from tasks.vision.evaluation import evaluate
from tasks.vision.examination import Progress
from tasks.vision.examples import example_figure
from tasks.vision.journal import Journal
from tasks.vision.masking import Evidence, masking_check, probe
from tasks.vision.rivals import own_attack
from tasks.vision.subject import identity, part

ATTACKS = (
    "AutoAttack", "FGSM", "PGM-20", "PGM-100", "CW-20", "CW-100", "Random-1000", "own", "PGM-100+CW-100",
)  # fmt: skip
"""What a classifier is attacked with if nothing else is asked for; ``own`` is its own learned attacker, if there is."""

RADII = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Where accuracy is measured against the radius, in multiples of ε; the whole pixel range is added."""

ITERATIONS = (0, 1, 2, 3, 5, 10, 20, 50, 100)
"""Where accuracy is measured against the number of iterations."""

_JOURNAL = "evaluation.jsonl"
_ARCHIVE = "attacked.jsonl"

MAGNIFY = (1.0, 5.0, 30.0)
"""How many times perturbations are enlarged in figures."""


def usual_attacks() -> tuple[str, ...]:
    """Return `ATTACKS`, without AutoAttack, and with a warning, where it is not installed."""
    if auto_attack.installed():
        return ATTACKS
    warnings.warn(f"Accuracies will be upper bounds. {auto_attack.MISSING}", stacklevel=2)
    return tuple(name for name in ATTACKS if name != "AutoAttack")


def journal_of(run: Run) -> Journal:
    """Return what an evaluation of ``run`` that was stopped has left, and will leave."""
    return Journal(run.path / _JOURNAL)


def lend_answers(lender: Run, borrower: Path) -> None:
    """Let the evaluation of a training begin with what `write_results` found for another run that has it too.

    Args:
        lender: the run whose evaluation is done.
        borrower: the folder of the other run, in which no evaluation was begun.
    """
    if (found := lender.path / _ARCHIVE).is_file():
        shutil.copy2(found, borrower / _JOURNAL)


def is_assessed(run: Run) -> bool:
    """Return whether `write_results` came to its end, with the findings, which it adds last."""
    return (run.path / "results.json").exists() and not (run.path / _JOURNAL).exists()


def attacks_for(training: Training, names: Sequence[str], eps: float) -> list[Attack]:
    """Return the attacks that ``names`` ask for, at radius ``eps``.

    Raises:
        ConfigurationError: for an unknown name.
    """
    own = own_attack(training, eps)
    made: list[Attack] = []
    for name in names:
        words = [word.strip() for word in name.split("+")]
        if own is None:
            words = [word for word in words if word.lower() != "own"]
        parts = [own if own and word.lower() == "own" else named(word, eps) for word in words]
        if parts:
            made.append(parts[0] if len(parts) == 1 else Worst(*parts))
    return made


def write_results(
    training: Training,
    run: Run,
    attacks: Sequence[Attack],
    *,
    split: str = "test",
    seconds: float | None = None,
    batch_size: int = 500,
    progress: Progress | None = None,
) -> None:
    """Attack the classifier and add the accuracies, and what the masking check makes of them, to the run's results.

    What is done is kept in the run's folder; after a stop the same call goes on from there. Curves, where there are to
    be any, are measured first, so that the check knows them.

    Args:
        training: the trained parts.
        run: where the results go.
        attacks: the attacks.
        split: the part of the data that is attacked: test, validation or train.
        seconds: how long the training took.
        batch_size: how many images go through the classifier at a time.
        progress: called as `evaluate` calls it.
    """
    journal = journal_of(run)
    images = part(training, split)
    results = evaluate(training.model, images, attacks, batch_size=batch_size, progress=progress, journal=journal)
    known = identity(training, split) | ({} if seconds is None else {"seconds": seconds})
    run.append_results({**known, **dataclasses.asdict(result)} for result in results)
    for eps in dict.fromkeys(result.eps for result in results if result.eps is not None):
        write_findings(training, run, eps, split=split)
    journal.finish(run.path / _ARCHIVE)


def write_findings(training: Training, run: Run, eps: float, *, split: str = "test") -> None:
    """Add what the masking check makes of all that the run knows within a ball, and of a few questions of its own.

    Args:
        training: the trained parts.
        run: whose results and curves are looked at, and added to.
        eps: the ball's radius.
        split: the part of the data.
    """
    known, images = identity(training, split), part(training, split)

    def ours(record: Mapping[str, Any]) -> bool:
        # Accuracies on more or fewer images cannot be compared with these.
        same = known | {"n": len(images)}
        return all(record.get(name) == value for name, value in same.items() if name != "kind")

    records = [record for record in run.results() if ours(record) and record.get("eps") == eps]
    curves = [point for point in run.curves() if ours(point) and (point["curve"] == "eps" or point.get("eps") == eps)]
    missing = {"eps", "iterations"} - {point["curve"] for point in curves}
    answers = probe(training.model, images, eps, curves=bool(missing))
    evidence = Evidence.of(records, curves, answers, training.config.label)
    ball = {"norm": "linf", "eps": eps}
    run.append_results({**known, **ball, **one.record()} for one in masking_check(evidence))


def write_curves(
    training: Training,
    run: Run,
    *,
    split: str = "test",
    eps: float | None = None,
    radii: Sequence[float] = RADII,
    iterations: Sequence[int] = ITERATIONS,
    batch_size: int = 500,
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
        batch_size: how many images go through the classifier at a time.
        progress: called as `evaluate` calls it.
    """
    eps = training.config.eps if eps is None else eps
    images = part(training, split)
    known = identity(training, split)
    scaled = [*(r * eps for r in radii if r * eps < 1), 1.0]
    journal = journal_of(run)
    points = accuracy_by_radius(
        training.model, images, scaled, batch_size=batch_size, progress=progress, journal=journal
    )
    points += accuracy_by_iterations(
        training.model,
        images,
        iterations,
        attack=pgm(eps, max(iterations)),
        batch_size=batch_size,
        progress=progress,
        journal=journal,
    )
    run.append_curves({**known, **dataclasses.asdict(point)} for point in points)


def write_examples(
    training: Training, run: Run, others: Sequence[Attack] = (), *, split: str = "test", eps: float | None = None
) -> None:
    """Draw some images into the run's figures, as FGSM, PGM-20 and learned attackers perturb them.

    Args:
        training: the trained parts; its own learned attacker, if there is one, is among the attacks.
        run: where the figure goes.
        others: further attacks, such as learned attackers of other runs.
        split: the part of the data.
        eps: the radius; ``None`` is the one of the training.

    Source: Jiang et al. 2021, Figures 4 and 5.
    """
    eps = training.config.eps if eps is None else eps
    images = part(training, split)
    own = own_attack(training, eps)
    attacks = [fgsm(eps), pgm(eps, 20), *([own] if own else []), *others]
    figure = example_figure(training.model, images, attacks, magnify=MAGNIFY, class_names=images.class_names)
    name = training.config.label
    figure.savefig(
        run.figures / f"examples-{name}.png", dpi=110, metadata={"Description": f"{name}, seed {training.config.seed}"}
    )
