"""AutoAttack, by its authors' own code."""

from __future__ import annotations

import importlib.util
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bilevel.errors import ConfigurationError, TaskError
from bilevel.leader import frozen, parameters_of
from tasks.vision.attacks.base import Attack, check_eps
from tasks.vision.attacks.in_turn import in_turn
from tasks.vision.attacks.predict import logits_of
from tasks.vision.attacks.undisturbed import undisturbed
from tasks.vision.data import ImageBatch

PARTS = ("apgd-ce", "apgd-t", "fab-t", "square")
"""The attacks of the standard version, in its order."""

MISSING = "AutoAttack is the package pyautoattack, which is not installed: pip install 'bilevel[eval]'."


def installed() -> bool:
    """Return whether AutoAttack can be run."""
    return importlib.util.find_spec("pyautoattack") is not None


@final
@dataclass(frozen=True)
class AutoAttack(Attack):
    """The standard version of AutoAttack: APGD-CE, APGD-T, FAB-T and Square, each on what stands against those before.

    It is what robust accuracies are compared by. The code is its authors' own; `AutoAttackPart` runs one of the four.

    Args:
        eps: the ball's radius, for pixels in [0, 1].
        seed: of each of the four.

    Raises:
        ConfigurationError: for a radius out of range, or if pyautoattack is not installed.

    Source: Croce and Hein 2020, and pyautoattack 0.2.
    """

    looks: ClassVar[str] = "all"

    eps: float
    seed: int = 0

    def __post_init__(self) -> None:
        check_eps("AutoAttack", self.eps)
        if not installed():
            raise ConfigurationError(MISSING)

    @property
    def name(self) -> str:
        """AutoAttack."""
        return "AutoAttack"

    def describe(self) -> dict[str, str | float | int]:
        """Return eps, norm and, as the start, what it consists of."""
        return {"eps": self.eps, "norm": "linf", "start": f"standard: {', '.join(PARTS)}"}

    @property
    def stages(self) -> Sequence[Attack]:
        """The four."""
        return [AutoAttackPart(self.eps, part, self.seed) for part in PARTS]

    def __call__(self, model: nn.Module, batch: ImageBatch) -> Float[Tensor, "n c h w"]:
        """Return the images that fool the model; the last attack's, which are clean, where none does."""
        return in_turn(self.stages, model, batch)


@final
@dataclass(frozen=True)
class AutoAttackPart(Attack):
    """One attack of AutoAttack's standard version.

    What its checks find (a randomised classifier, outputs that are probabilities, zero gradients, ...) is said by
    warnings. With fewer than ten classes it aims at all wrong ones, where the package would fail.

    Args:
        eps: the ball's radius, for pixels in [0, 1].
        part: one of `PARTS`.
        seed: of its random numbers.
    """

    looks: ClassVar[str] = "all"

    eps: float
    part: str
    seed: int = 0

    @property
    def name(self) -> str:
        """Such as "AutoAttack apgd-ce"."""
        return f"AutoAttack {self.part}"

    def describe(self) -> dict[str, str | float | int]:
        """Return eps and norm."""
        return {"eps": self.eps, "norm": "linf"}

    def __call__(self, model: nn.Module, batch: ImageBatch) -> Float[Tensor, "n c h w"]:
        """Return the images that fool the model, and the clean ones where none does.

        Raises:
            TaskError: if the model tells fewer than four classes apart, for which APGD-T has no loss.
        """
        from pyautoattack import AutoAttack as Package

        device = batch.x.device
        with _untouched(model, device, self.seed), _said():
            classes = logits_of(model, batch.x[:1]).shape[1]
            if classes < 4:
                raise TaskError(f"AutoAttack needs at least 4 classes, its loss has four logits; there are {classes}.")
            package = Package(model, norm="Linf", eps=self.eps, seed=self.seed, device=device, version="standard")
            package.attacks_to_run = [self.part]
            targets = min(9, classes - 1)
            package.apgd_targeted.n_target_classes = package.fab.n_target_classes = targets
            images, _ = package.run_standard_evaluation(batch.x, batch.y, batch_size=len(batch.y))
        perturbed: Tensor = images
        return perturbed


@contextmanager
def _untouched(model: nn.Module, device: torch.device, seed: int) -> Iterator[None]:
    """Within the context the package may seed every device, and FAB may fill whatever gradients are asked for."""
    tracer = sys.gettrace()
    every = list(range(torch.cuda.device_count())) if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(every), undisturbed(model, device=device, seed=seed), frozen(parameters_of(model)):
            yield
    finally:
        sys.settrace(tracer)  # which its check for dynamic defences takes away


@contextmanager
def _said() -> Iterator[None]:
    """Within the context what the package logs as a warning becomes one."""
    logger = logging.getLogger("auto-attack")
    handler = _Warns(logging.WARNING)
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


@final
class _Warns(logging.Handler):
    """Turns what is logged into Python's warnings."""

    def emit(self, record: logging.LogRecord) -> None:
        """Warn."""
        text = record.getMessage().split(" See flags_doc")[0]
        warnings.warn(f"AutoAttack: {text}", stacklevel=2)
