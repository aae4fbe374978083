"""A classifier before its images: which it gets right, and which of those stand when perturbed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, final

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from tasks.vision.answers import check_clean, check_perturbed, right
from tasks.vision.attacks import undisturbed
from tasks.vision.data import ImageBatch, Images
from tasks.vision.halving import HalvingBatches
from tasks.vision.journal import Journal

Perturb: TypeAlias = Callable[[nn.Module, ImageBatch], Sequence[Tensor]]
"""Makes one or more perturbed versions of a batch's images."""

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called as ``progress(done, total, attack)`` after each batch."""


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
        journal: keeps what each batch gave, and is asked first.

    Attributes:
        correct: whether each image is classified correctly, unperturbed.

    Raises:
        ConfigurationError: for no images, pixels outside [0, 1] or not numbers, or labels that are no class.
        TaskError: if the output of ``model`` does not fit.
        NonFiniteError: if it is not finite.
    """

    def __init__(
        self,
        model: nn.Module,
        images: Images,
        *,
        batch_size: int,
        progress: Progress | None = None,
        journal: Journal | None = None,
    ) -> None:
        if len(images) == 0:
            raise ConfigurationError(f"There are no images to evaluate on: {images.name!r} is empty.")
        self.model = model
        parameter = next(model.parameters(), None)
        self.device = images.pixels.device if parameter is None else parameter.device
        self.images = images.to(self.device)
        self._batches = HalvingBatches(batch_size)
        self._progress = progress
        self._journal = journal
        self._subject = "" if journal is None else journal.subject(model, self.images)
        everything = torch.arange(len(images), device=self.device)
        self.correct: Bool[Tensor, " n"] = self._stands(everything, "clean", self._unperturbed)[0]

    @property
    def clean(self) -> float:
        """The part of the images that is classified correctly, unperturbed."""
        return int(self.correct.sum()) / len(self.correct)

    def stands(
        self,
        attack: str,
        perturb: Perturb,
        *,
        versions: int = 1,
        eps: float | None = None,
        among: Bool[Tensor, " m"] | None = None,
        identity: str | None = None,
    ) -> Bool[Tensor, "versions k"]:
        """Return which of the m images that are correct unperturbed stay so, for each version of a perturbation.

        Args:
            attack: the name, for progress and errors.
            perturb: makes the perturbed images, of the shape of the clean ones, in [0, 1].
            versions: how many versions of each image it makes.
            eps: the largest allowed change of a pixel, checked if given.
            among: which k of the m images are perturbed; all if not given.
            identity: what the journal knows the attack by; without it nothing is kept.

        Raises:
            TaskError: if ``perturb`` breaks its bounds.
            NonFiniteError: if it, or the classifier on its images, gives what is not finite.
        """

        def checked(model: nn.Module, batch: ImageBatch) -> list[Tensor]:
            perturbed = list(perturb(model, batch))
            for x in perturbed:
                check_perturbed(attack, x, batch.x, eps)
            return perturbed

        indices = self.correct.nonzero().squeeze(1)
        indices = indices if among is None else indices[among]
        if not len(indices):
            return torch.zeros(versions, 0, dtype=torch.bool, device=self.device)
        return self._stands(indices, attack, checked, identity)

    def robust(self, stands: Bool[Tensor, "versions m"]) -> list[float]:
        """Return, for each row of what `stands` returned, the part of *all* images that stands."""
        accuracies: list[float] = [count / len(self.images) for count in stands.sum(1).tolist()]
        return accuracies

    def _stands(
        self, indices: Int[Tensor, " m"], attack: str, perturb: Perturb, identity: str | None = None
    ) -> Bool[Tensor, "versions m"]:
        """Return which of the images at ``indices`` are classified correctly in each version."""

        def known(piece: Int[Tensor, " k"]) -> Bool[Tensor, "versions k"]:
            if self._journal is None or identity is None:
                return examine(piece)
            key = self._journal.key(self._subject, identity, piece)
            kept = self._journal.find(key, self.device)
            if kept is None:
                kept = examine(piece)
                self._journal.keep(key, kept)
            return kept

        def examine(piece: Int[Tensor, " k"]) -> Bool[Tensor, "versions k"]:
            batch = self.images.batch(piece)
            return torch.stack([right(self.model, x, batch.y, self.images) for x in perturb(self.model, batch)])

        done, rows = 0, []
        with undisturbed(self.model, device=self.device, seed=0):
            for piece, row in self._batches.map(known, indices):
                rows.append(row)
                done += len(piece)
                if self._progress is not None:
                    self._progress(done, len(indices), attack)
        return torch.cat(rows, dim=1)

    def _unperturbed(self, model: nn.Module, batch: ImageBatch) -> list[Tensor]:
        check_clean(self.images, batch)
        return [batch.x]
