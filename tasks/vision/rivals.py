"""Attacks that come from other runs: their learned attackers, and images made against their classifiers."""

from __future__ import annotations

from collections.abc import Sequence

from bilevel.errors import ConfigurationError
from tasks.vision.attacks import Attack, Transfer, fgsm, pgm
from tasks.vision.build import Training

TRANSFERRED = (fgsm, lambda eps: pgm(eps, 10))
"""What surrogates are attacked with, called with the radius: FGSM and PGM-10, as in the preprint's Tables 4 to 6."""


def name_of(training: Training) -> str:
    """Return what a trained classifier is called beside others: its method and seed."""
    return f"{training.config.label}-seed{training.config.seed}"


def own_attack(training: Training, eps: float, label: str = "own attacker") -> Attack | None:
    """Return the learned attacker of a training as an attack; ``None`` if it has none.

    Args:
        training: the trained parts.
        eps: the radius.
        label: the attack's name in tables.
    """
    return training.config.make_method().own_attack(training.solver.rule, eps, label)


def attackers(others: Sequence[Training], eps: float) -> list[Attack]:
    """Return the learned attackers of other trainings, to be let loose on a classifier that they never met.

    Args:
        others: the trainings.
        eps: the radius.

    Raises:
        ConfigurationError: if one has no learned attacker, or two have the same name.
    """
    _check_names(others)
    found = []
    for training in others:
        attack = own_attack(training, eps, f"attacker of {name_of(training)}")
        if attack is None:
            raise ConfigurationError(
                f"{name_of(training)} was trained without a learned attacker; name a run of one of the L2L methods."
            )
        found.append(attack)
    return found


def transfers(target: Training, surrogates: Sequence[Training], eps: float) -> list[Attack]:
    """Return black-box attacks: images that fool other classifiers, by FGSM and PGM-10.

    Args:
        target: the classifier that will be attacked.
        surrogates: the others; by custom of the same architecture and another seed.
        eps: the radius.

    Raises:
        ConfigurationError: if a surrogate is a classifier of other images, or two have the same name.
    """
    _check_names(surrogates)
    for one in surrogates:
        check_same_images(target, one)
    return [Transfer(one.model, make(eps), name_of(one)) for one in surrogates for make in TRANSFERRED]


def check_same_images(target: Training, other: Training) -> None:
    """Raise `ConfigurationError` unless both trainings are of images of one shape and of the same classes."""
    ours, theirs = ((t.split.test.pixels.shape[1:], t.split.test.classes) for t in (target, other))
    if ours != theirs:
        raise ConfigurationError(
            f"{name_of(other)} ({other.config.data}) classifies images {tuple(theirs[0])} into {theirs[1]} classes, "
            f"{name_of(target)} ({target.config.data}) images {tuple(ours[0])} into {ours[1]}: name runs on the same "
            "data."
        )


def _check_names(trainings: Sequence[Training]) -> None:
    names = [name_of(training) for training in trainings]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigurationError(
            f"Two of the runs are called {twice}, so that the results of one would replace those of the other: name "
            "one of them, or train with another seed."
        )
