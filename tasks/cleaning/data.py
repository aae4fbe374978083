"""The data of hyper-cleaning: samples of which some have a wrong label, and samples to judge by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from bilevel.errors import ConfigurationError
from tasks.vision.data import Images, digits
from tasks.vision.data.mnist import Mnist


class Labelled(NamedTuple):
    """Samples with labels.

    Attributes:
        x: the samples, flat, with values in [0, 1].
        y: a class for each.
    """

    x: Float[Tensor, "n d"]
    y: Int64[Tensor, " n"]


def together(first: Labelled, second: Labelled) -> Labelled:
    """Return the samples of both."""
    return Labelled(torch.cat([first.x, second.x]), torch.cat([first.y, second.y]))


@final
@dataclass(frozen=True, eq=False)
class CleaningData:
    """The four parts, which share no sample.

    Attributes:
        name: the data set's.
        classes: the number of classes.
        train: what the follower learns from, with the labels that it is given.
        truth: the right labels of the same samples; no method sees them.
        validation: what the leader judges by, rightly labelled.
        held_out: what settings are chosen by, rightly labelled; no method learns from it.
        test: what is looked at once, at the end.
    """

    name: str
    classes: int
    train: Labelled
    truth: Int64[Tensor, " n"]
    validation: Labelled
    held_out: Labelled
    test: Labelled

    @property
    def wrong(self) -> Bool[Tensor, " n"]:
        """Which training samples have a wrong label."""
        return self.train.y != self.truth


def corrupt(labels: Int64[Tensor, " n"], share: float, classes: int, draw: torch.Generator) -> Int64[Tensor, " n"]:
    """Return the labels with a share of them wrong.

    Of n labels round(share · n), drawn at random, are replaced, each by one of the *other* classes, all of them
    equally likely: each replaced label is wrong. (Where a label is replaced by any class, as some authors do, a tenth
    of those replaced stays right.)

    Args:
        labels: the right ones.
        share: in [0, 1].
        classes: the number of classes, at least 2.
        draw: what the choice depends on.
    """
    chosen = torch.randperm(len(labels), generator=draw)[: round(share * len(labels))]
    wrong = labels.clone()
    wrong[chosen] = (wrong[chosen] + torch.randint(1, classes, (len(chosen),), generator=draw)) % classes
    return wrong


@final
@dataclass(frozen=True)
class Sizes:
    """How many samples are trained on, validated on and held out."""

    train: int
    validation: int
    held_out: int


@final
@dataclass(frozen=True)
class Source:
    """Where a data set comes from.

    Attributes:
        read: returns the images to learn from, in the order in which they are divided, and the test images; takes the
            folder that was given, if any, and the seed of the order.
        sizes: the usual sizes of the parts.
    """

    read: Callable[[str | None, int], tuple[Images, Images]]
    sizes: Sizes


def load_data(source: Source, sizes: Sizes, *, noise: float, seed: int, folder: str | None = None) -> CleaningData:
    """Return a data set in its four parts.

    Args:
        source: which.
        sizes: how many samples are in the parts that are learned from.
        noise: the share of the training samples that get a wrong label (see `corrupt`).
        seed: what the parts and the wrong labels depend on.
        folder: where the files are, for a data set that has files.

    Raises:
        ConfigurationError: if the folder is not known, or there are too few samples.
        DataError: if a file is damaged.
    """
    learn, test = source.read(folder, seed)
    counts = [sizes.train, sizes.validation, sizes.held_out]
    if sum(counts) > len(learn):
        raise ConfigurationError(
            f"{counts[0]} training, {counts[1]} validation and {counts[2]} held-out samples are more than the "
            f"{len(learn)} that {learn.name} has besides its test samples."
        )
    parts, begin = [], 0
    for count in counts:
        parts.append(_flat(learn.subset(slice(begin, begin + count))))
        begin += count
    train, validation, held_out = parts
    # Not the seed of the order, whose random numbers would come a second time.
    given = corrupt(train.y, noise, learn.classes, torch.Generator().manual_seed(2 * seed + 1))
    return CleaningData(learn.name, learn.classes, Labelled(train.x, given), train.y, validation, held_out, _flat(test))


def _flat(images: Images) -> Labelled:
    batch = images.batch()
    return Labelled(batch.x.flatten(1), batch.y)


def _mnist(folder: str | None, seed: int) -> tuple[Images, Images]:
    learn, test = Mnist().read(None if folder is None else Path(folder))
    return learn.subset(torch.randperm(len(learn), generator=torch.Generator().manual_seed(2 * seed))), test


def _digits(folder: str | None, seed: int) -> tuple[Images, Images]:
    del folder  # they come with scikit-learn
    split = digits(seed)
    parts = (split.train, split.validation)
    pixels, labels = (torch.cat([getattr(part, name) for part in parts]) for name in ("pixels", "labels"))
    return replace(split.train, pixels=pixels, labels=labels), split.test


SOURCES: dict[str, Source] = {
    "mnist": Source(_mnist, Sizes(5000, 5000, 5000)),
    "digits": Source(_digits, Sizes(600, 400, 437)),
}
"""Data sets by name; nothing is read before it is asked for."""
