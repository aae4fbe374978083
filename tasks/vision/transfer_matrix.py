"""Every classifier against images that were made against every other: the preprint's Tables 4 to 6."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, final

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from tasks.vision.answers import check_perturbed, right
from tasks.vision.attacks import Attack, Transfer, undisturbed
from tasks.vision.attacks.digest import digest
from tasks.vision.data import Images
from tasks.vision.examination import Examination, Progress
from tasks.vision.halving import HalvingBatches
from tasks.vision.journal import Journal


@final
@dataclass(frozen=True, slots=True)
class Transferred:
    """How a classifier does on images made against another; `dataclasses.asdict` gives a flat record.

    Attributes:
        target: the classifier, which is a row of the matrix.
        surrogate: the one that the images were made against, which with the attack is a column.
        attack: the attack on the surrogate with its name, such as "PGM-10 from plain-seed1".
        clean: the target's accuracy on the clean images, in [0, 1].
        robust: that on the perturbed ones; an image misclassified clean counts as misclassified.
        n: how many images.
        eps: the ball's radius, for pixels in [0, 1].
        norm: the ball's norm.
        steps: how many steps the attack takes.
        step_size: of which length.
        start: where it begins.
        looks: what of the target the attack looks at: nothing but a surrogate.
    """

    target: str
    surrogate: str
    attack: str
    clean: float
    robust: float
    n: int
    eps: float | None = None
    norm: str | None = None
    steps: int | None = None
    step_size: float | None = None
    start: str | None = None
    looks: str = Transfer.looks


def transfer_matrix(
    targets: Mapping[str, nn.Module],
    surrogates: Mapping[str, nn.Module],
    images: Images,
    attacks: Sequence[Attack],
    *,
    batch_size: int = 500,
    progress: Progress | None = None,
    journal: Journal | None = None,
) -> list[Transferred]:
    """Return the accuracy of each target under each attack on each surrogate.

    Images are made once for a surrogate and an attack, and shown to all targets.

    Args:
        targets: classifiers by name, all on one device.
        surrogates: likewise; one that is a target too gives the white-box accuracy there.
        images: the images and labels.
        attacks: what the surrogates are attacked with, such as ``[fgsm(eps), pgm(eps, 10)]``.
        batch_size: how many images are perturbed at a time; halved, with a warning, when memory runs out.
        progress: called as `evaluate` calls it.
        journal: keeps what each batch gave, as in `evaluate`.

    Returns:
        Surrogate by surrogate, attack by attack, a result a target.

    Raises:
        ConfigurationError: if targets, surrogates or attacks are missing, and what `evaluate` raises.

    Source: Liu et al. 2017; Jiang et al. 2020 (preprint), Tables 4 to 6.
    """
    if not (targets and surrogates and attacks):
        raise ConfigurationError("A matrix of transfers needs at least one target, one surrogate and one attack.")
    seen = {name: Examination(model, images, batch_size=batch_size) for name, model in targets.items()}
    first = next(iter(seen.values()))
    fooling = _Fooling(list(targets.values()), first.images, HalvingBatches(batch_size), progress, journal)
    results = []
    for surrogate, model in surrogates.items():
        for attack in attacks:
            transfer = Transfer(model, attack, surrogate)
            rows = fooling.stands(transfer)
            for (target, examination), stands in zip(seen.items(), rows, strict=True):
                robust = int((stands & examination.correct).sum()) / len(images)
                known = {field.name for field in fields(Transferred)} - {"attack", "clean", "robust", "n"}
                settings: dict[str, Any] = {k: v for k, v in attack.describe().items() if k in known}
                clean = examination.clean
                results.append(Transferred(target, surrogate, transfer.name, clean, robust, len(images), **settings))
    return results


@final
@dataclass(frozen=True)
class _Fooling:
    """Shows all targets the same perturbed images, in batches."""

    targets: list[nn.Module]
    images: Images
    batches: HalvingBatches
    progress: Progress | None
    journal: Journal | None

    def stands(self, transfer: Transfer) -> Bool[Tensor, "targets n"]:
        """Return which images each target gets right after ``transfer`` perturbed them."""
        device = self.images.labels.device
        subject = digest(*self.targets, self.images.pixels, self.images.labels, f"{self.images.levels}")

        def examine(piece: Int[Tensor, " k"]) -> Bool[Tensor, "targets k"]:
            key = digest(subject, transfer.identity, piece)
            kept = None if self.journal is None else self.journal.find(key, device)
            if kept is None:
                kept = self._examine(transfer, piece)
                if self.journal is not None:
                    self.journal.keep(key, kept)
            return kept

        rows, done = [], 0
        for piece, row in self.batches.map(examine, torch.arange(len(self.images), device=device)):
            rows.append(row)
            done += len(piece)
            if self.progress is not None:
                self.progress(done, len(self.images), transfer.name)
        return torch.cat(rows, dim=1)

    def _examine(self, transfer: Transfer, piece: Int[Tensor, " k"]) -> Bool[Tensor, "targets k"]:
        batch = self.images.batch(piece)
        perturbed = transfer(self.targets[0], batch)
        check_perturbed(transfer.name, perturbed, batch.x, None)
        with undisturbed(*self.targets, device=batch.x.device, seed=0):
            return torch.stack([right(model, perturbed, batch.y, self.images) for model in self.targets])
