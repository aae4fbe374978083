"""Labelled images: how they are held, split and served in batches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, final

import torch
from jaxtyping import Float, Int, Int64, UInt8
from torch import Tensor

from bilevel.errors import ConfigurationError


class ImageBatch(NamedTuple):
    """A batch of labelled images.

    Attributes:
        x: the images, with values in [0, 1].
        y: their labels, int64.
        sample: their places in the set that they come from, where that is known.
    """

    x: Float[Tensor, "n c h w"]
    y: Int[Tensor, " n"]
    sample: Int64[Tensor, " n"] | None = None


@final
@dataclass(frozen=True, eq=False)
class Images:
    """A set of labelled images, held as small integers.

    Args:
        pixels: the images as they were digitised.
        labels: the class of each, from 0 to ``classes - 1``.
        classes: the number of classes.
        name: the data set's name.
        levels: the largest pixel value, so that ``pixels / levels`` is in [0, 1]: 16 for digits, 255 for most.
    """

    pixels: UInt8[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    classes: int
    name: str
    levels: int = 255

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def channels(self) -> int:
        """The number of channels c of an image."""
        return self.pixels.shape[1]

    def batch(self, indices: Int64[Tensor, " k"] | slice | None = None) -> ImageBatch:
        """Return the images at ``indices`` (all of them by default), as float32 in [0, 1], and their labels."""
        at = slice(None) if indices is None else indices
        sample = indices if isinstance(indices, Tensor) else None
        return ImageBatch(self.pixels[at].float().div_(self.levels), self.labels[at], sample)

    def subset(self, indices: Int64[Tensor, " k"] | slice) -> Images:
        """Return the set of the images at ``indices``."""
        return replace(self, pixels=self.pixels[indices], labels=self.labels[indices])

    def to(self, device: torch.device | str) -> Images:
        """Return the same set on ``device``."""
        return replace(self, pixels=self.pixels.to(device), labels=self.labels.to(device))


@final
@dataclass(frozen=True)
class Split:
    """A data set in three parts: to learn from, to choose by, and to look at once, at the end."""

    train: Images
    validation: Images
    test: Images

    def to(self, device: torch.device | str) -> Split:
        """Return the same parts on ``device``."""
        return Split(self.train.to(device), self.validation.to(device), self.test.to(device))


@final
@dataclass(frozen=True)
class Batches:
    """All images of a set, in batches, each time in a new order drawn from PyTorch's global generator.

    The last batch holds what is left and may be smaller.

    Args:
        images: the set.
        batch_size: images a batch, at least 1 and at most as many as there are.

    Raises:
        ConfigurationError: if ``batch_size`` is out of range.
    """

    images: Images
    batch_size: int

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= len(self.images):
            raise ConfigurationError(
                f"The batch size is {self.batch_size}, but {self.images.name} has {len(self.images)} images to learn "
                f"from: choose one from 1 to {len(self.images)}."
            )

    def __len__(self) -> int:
        return math.ceil(len(self.images) / self.batch_size)

    def __iter__(self) -> Iterator[ImageBatch]:
        # Drawn on the CPU, so that the order is the same on every device.
        order = torch.randperm(len(self.images)).to(self.images.labels.device)
        for indices in torch.split(order, self.batch_size):
            yield self.images.batch(indices)


def digits(seed: int) -> Split:
    """Return scikit-learn's digits: 1797 grey images of 8 x 8 pixels, 10 classes, embedded in that library.

    Args:
        seed: what the split depends on; each class has the same share in all parts.

    Returns:
        20 % for the test, 20 % of the rest for validation, and the rest, 1149 images, to learn from.

    Raises:
        ConfigurationError: if scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise ConfigurationError("The digits come with scikit-learn: pip install 'bilevel[vision]'.") from error
    found = load_digits()
    pixels = torch.from_numpy(found.images).to(torch.uint8).unsqueeze(1)
    images = Images(pixels, torch.from_numpy(found.target).long(), classes=10, name="digits", levels=16)
    rest, test = train_test_split(range(len(images)), test_size=0.2, stratify=found.target, random_state=seed)
    train, validation = train_test_split(rest, test_size=0.2, stratify=found.target[rest], random_state=seed)
    parts = (images.subset(torch.tensor(part)) for part in (train, validation, test))
    return Split(*parts)
