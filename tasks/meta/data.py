"""The data of meta-training and of transfer, which share nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import torch

from bilevel.errors import ConfigurationError
from tasks.meta.quadratics import draw_quadratics
from tasks.vision.data import Images
from tasks.vision.data.partition import stratified
from tasks.vision.datasets import load

QUADRATICS = "quadratics"


@final
@dataclass(frozen=True, eq=False)
class Halves:
    """A data set in two halves to learn from, and what is looked at.

    Attributes:
        name: the data set's.
        meta: what rules are trained on.
        transfer: what new networks are trained on by trained rules.
        validation: what settings are chosen by; nobody learns from it.
        test: what is looked at once, at the end.
    """

    name: str
    meta: Any
    transfer: Any
    validation: Any
    test: Any


def load_halves(name: str, seed: int, *, data_dir: str | None = None, test_images: int | None = None) -> Halves:
    """Return a data set in halves, in which each class has its share.

    A part of the training images is held out for validation first, as `tasks.vision.datasets.load` does (a tenth; of
    the digits a fifth), which the paper does not have: it divides all 60,000 of MNIST.

    Args:
        name: digits, mnist, cifar10 or another data set of `tasks.vision.datasets`, or quadratics.
        seed: what all parts depend on.
        data_dir: the folder of its files.
        test_images: how many test images are kept, the first ones; ``None`` for all.

    Raises:
        ConfigurationError: for an unknown name, listing the known, or if the files are not there.
        DataError: if a file is damaged.
    """
    if name == QUADRATICS:
        return _quadratics(seed, data_dir)
    split = load(name, seed, data_dir=data_dir, test_images=test_images)
    first, second = halves(split.train, seed)
    return Halves(name, first, second, split.validation, split.test)


def halves(images: Images, seed: int) -> tuple[Images, Images]:
    """Return two halves of ``images``, the second one larger by one if their number is odd.

    Args:
        images: the set.
        seed: what the choice depends on.
    """
    first = torch.zeros(len(images), dtype=torch.bool)
    first[stratified(images.labels, len(images) // 2, 2 * seed + 1)] = True
    return images.subset(first.nonzero().squeeze(1)), images.subset((~first).nonzero().squeeze(1))


def _quadratics(seed: int, data_dir: str | None) -> Halves:
    if data_dir is not None:
        raise ConfigurationError("Quadratics are drawn and have no files: leave data_dir out.")
    generator = torch.Generator().manual_seed(seed)
    return Halves(QUADRATICS, *(draw_quadratics(128, 10, generator) for _ in range(4)))
