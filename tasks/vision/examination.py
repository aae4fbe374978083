"""A classifier before its images: which it gets right, and which of those stand when perturbed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, final

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from bilevel.errors import ConfigurationError, NonFiniteError, TaskError
from tasks.vision.attacks import undisturbed
from tasks.vision.attacks.predict import logits_of
from tasks.vision.data import ImageBatch, Images
from tasks.vision.halving import HalvingBatches

Perturb: TypeAlias = Callable[[nn.Module, ImageBatch], Sequence[Tensor]]
"""Makes one or more perturbed versions of a batch's images."""

ROUNDING = 1e-6
"""How far outside its ball an image may lie: a few roundings of float32 near 1."""


class Progress(Protocol):
    """Hears how far an evaluation has come."""

    def __call__(self, done: int, total: int, attack: str) -> None:
        """Take note that ``attack`` was tried on ``done`` of ``total`` images."""
        ...


@final
class Examination:
    """Which images a classifier gets right, found at once, and which of them it loses under perturbations.

    Images that it gets wrong unperturbed count as lost under every perturbation and are never perturbed. The classifier
    is in evaluation mode meanwhile and left as it was found; the work is done where its parameters are.

    Args:
        model: the classifier, whose output is (n, classes).
        images: the images and labels.
        batch_size: how many images go through the classifier at a time; halved, with a warning, when memory runs out.
        progress: hears of every batch.

    Attributes:
        correct: whether each image is classified correctly, unperturbed.

    Raises:
        ConfigurationError: for no images, pixels outside [0, 1] or not numbers, or labels that are no class.
        TaskError: if the output of ``model`` does not fit.
        NonFiniteError: if it is not finite.
    """

    def __init__(
        self, model: nn.Module, images: Images, *, batch_size: int, progress: Progress | None = None
    ) -> None:
        if len(images) == 0:
            raise ConfigurationError(f"There are no images to evaluate on: {images.name!r} is empty.")
        self.model = model
        parameter = next(model.parameters(), None)
        self.device = images.pixels.device if parameter is None else parameter.device
        self.images = images.to(self.device)
        self._batches = HalvingBatches(batch_size)
        self._progress = progress
        everything = torch.arange(len(images), device=self.device)
        self.correct: Bool[Tensor, "n"] = torch.cat([row[0] for row in self._run(everything, "clean", self._as_it_is)])

    @property
    def clean(self) -> float:
        """The part of the images that is classified correctly, unperturbed."""
        return float(self.correct.double().mean())

    def robust(self, attack: str, perturb: Perturb, *, eps: float | None = None) -> list[float]:
        """Return the part of all images that is classified correctly under each of the perturbations.

        Args:
            attack: the name, for progress and errors.
            perturb: makes the perturbed images, of the shape of the clean ones, in [0, 1].
            eps: the largest allowed change of a pixel, checked if given.

        Raises:
            TaskError: if ``perturb`` breaks its bounds.
            NonFiniteError: if it, or the classifier on its images, gives what is not finite.
        """
        indices = self.correct.nonzero().squeeze(1)
        if not len(indices):
            raise_for_none = self._as_it_is if False else None  # noqa: F841
        pieces = self._run(indices, attack, lambda model, batch: self._checked(attack, perturb, eps, model, batch))
        return (torch.cat(pieces, dim=1).sum(1).double() / len(self.images)).tolist()
