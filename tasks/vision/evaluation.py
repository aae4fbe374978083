"""The accuracy of a classifier, clean and under attack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, final

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from tasks.vision.attacks import PGM, Attack, Worst
from tasks.vision.data import Images
from tasks.vision.examination import Examination, Perturb, Progress
from tasks.vision.journal import Journal


@final
@dataclass(frozen=True, slots=True)
class Result:
    """How a classifier does under one attack; `dataclasses.asdict` gives a flat record.

    Attributes:
        attack: the attack's name.
        clean: accuracy on the clean images, in [0, 1].
        robust: accuracy on the perturbed ones, in [0, 1]; an image misclassified clean counts as misclassified.
        n: how many images.
        eps: the ball's radius, for pixels in [0, 1].
        norm: the ball's norm.
        steps: how many steps, or draws.
        step_size: in the units of ``eps``.
        start: where the attack begins.
        looks: what of the classifier the attack looks at, as `Attack.looks` says.
    """

    attack: str
    clean: float
    robust: float
    n: int
    eps: float | None = None
    norm: str | None = None
    steps: int | None = None
    step_size: float | None = None
    start: str | None = None
    looks: str | None = None


def evaluate(
    model: nn.Module,
    images: Images,
    attacks: Sequence[Attack],
    *,
    batch_size: int = 500,
    progress: Progress | None = None,
    journal: Journal | None = None,
) -> list[Result]:
    """Return the accuracy of ``model`` under each of ``attacks``.

    An image counts as robust if it is classified correctly both clean and at the attack's last iterate. So only images
    classified correctly are attacked. The model is evaluated, and attacked, in evaluation mode and left as it was.

    Nothing is done twice: PGM-20 is a glance at the run of PGM-100 where all else is equal, and the worst of several
    attacks is counted from their own runs, each on all images (so that it is never above any of them). An attack of
    several stages (AutoAttack, APGD-T, many random draws) goes through them one by one, each on what still stands.

    Args:
        model: a classifier whose output is (n, classes).
        images: the images and labels; they follow the model to its device.
        attacks: the attacks.
        batch_size: how many images go through the model at a time. It is halved, with a warning, when memory runs out.
        progress: called as ``progress(done, total, attack)`` after each batch, the clean pass being the attack "clean".
        journal: keeps what each attack gave on each batch. With the journal of a call that was stopped, what is in it
            is not done again, and the results are those of an unbroken call, to the bit.

    Returns:
        One result an attack, in their order.

    Raises:
        ConfigurationError: for pixels outside [0, 1], labels that are no class, no images, or what is no attack.
        TaskError: if the output of ``model`` is not (n, classes), or an attack leaves its ball.
        NonFiniteError: if the model's output or an attack's image is not finite.

    Examples:
        >>> evaluate(model, split.test, [pgm(0.2, 20), cw(0.2, 20)])  # doctest: +SKIP
    """
    wrong = [attacks] if isinstance(attacks, Attack) else [one for one in attacks if not isinstance(one, Attack)]
    if wrong:
        raise ConfigurationError(
            f"attacks must be a list of tasks.vision.attacks, such as [pgm(0.2)]; got {wrong[0]!r}."
        )
    examination = Examination(model, images, batch_size=batch_size, progress=progress, journal=journal)
    stands = [pair for family in _families(attacks) for pair in _run(examination, family)]
    results = []
    for attack in attacks:
        # What stands against the worst of several attacks stands against each.
        rows = [next(row for one, row in stands if one is part or one == part) for part in _parts(attack)]
        results.append(_result(examination, attack, torch.stack(rows).all(0, keepdim=True)))
    return results


def accuracy(model: nn.Module, images: Images, *, batch_size: int = 500, progress: Progress | None = None) -> float:
    """Return the accuracy of ``model`` on clean images, in [0, 1]; arguments and errors are those of `evaluate`."""
    return Examination(model, images, batch_size=batch_size, progress=progress).clean


def _parts(attack: Attack) -> list[Attack]:
    """Return the attacks that ``attack`` is the worst of."""
    return [part for one in attack.attacks for part in _parts(one)] if isinstance(attack, Worst) else [attack]


def _families(attacks: Sequence[Attack]) -> list[list[Attack]]:
    """Return all attacks that have to be run, together where they are the same but for the number of steps."""
    families: list[list[Attack]] = []
    for part in (part for attack in attacks for part in _parts(attack)):
        family = next((family for family in families if _related(family[0], part)), None)
        if family is None:
            families.append([part])
        elif part not in family:
            family.append(part)
    return families


def _related(one: Attack, other: Attack) -> bool:
    if isinstance(one, PGM) and isinstance(other, PGM):
        return replace(one, steps=other.steps) == other
    return one == other


def _run(examination: Examination, family: list[Attack]) -> list[tuple[Attack, Bool[Tensor, " m"]]]:
    """Return what stands against each of ``family``, from one run of the longest."""
    first, *others = family
    if not isinstance(first, PGM) or not others:
        return [(first, _by_stages(examination, first))]
    members = sorted((one for one in family if isinstance(one, PGM)), key=lambda one: one.steps)
    steps = [one.steps for one in members]
    rows = examination.stands(
        members[-1].name,
        lambda model, batch: first.path(model, batch, steps),
        versions=len(steps),
        eps=_bound(first),
        identity=f"{members[-1].identity} after {steps}",
    )
    return list(zip(members, rows, strict=True))


def _by_stages(examination: Examination, attack: Attack) -> Bool[Tensor, " m"]:
    """Return what stands against all stages of ``attack``, each of which meets what the ones before have left."""
    stands = torch.ones(int(examination.correct.sum()), dtype=torch.bool, device=examination.device)
    for stage in attack.stages:
        rows = examination.stands(stage.name, _once(stage), eps=_bound(stage), among=stands, identity=stage.identity)
        stands = stands.masked_scatter(stands, rows[0])
        if not stands.any():
            break
    return stands


def _once(attack: Attack) -> Perturb:
    return lambda model, batch: [attack(model, batch)]


def _bound(attack: Attack) -> float | None:
    """Return the largest change of a pixel that the attack may make, where it has one."""
    settings = attack.describe()
    eps = settings.get("eps") if settings.get("norm") == "linf" else None
    return eps if isinstance(eps, int | float) else None


def _result(examination: Examination, attack: Attack, stands: Bool[Tensor, "1 m"]) -> Result:
    known = {field.name for field in fields(Result)} - {"attack", "clean", "robust", "n"}
    settings: dict[str, Any] = {name: value for name, value in attack.describe().items() if name in known}
    robust = examination.robust(stands)[0]
    return Result(
        attack=attack.name,
        clean=examination.clean,
        robust=robust,
        n=len(examination.images),
        looks=attack.looks,
        **settings,
    )
