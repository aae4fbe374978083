"""Labelled images: a batch, a set, and a set in three parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, final

import torch
from jaxtyping import Float, Int, Int64, UInt8
from torch import Tensor

from tasks.vision.data.movement import Movement


class ImageBatch(NamedTuple):
    """A batch of labelled images.

    Attributes:
        x: the images, with values in [0, 1].
        y: their labels, int64.
        sample: their places in the set that they come from, where that is known.
        movement: how they were moved against the images of that set; ``None`` if they were not.
    """

    x: Float[Tensor, "n c h w"]
    y: Int[Tensor, " n"]
    sample: Int64[Tensor, " n"] | None = None
    movement: Movement | None = None


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
        class_names: what the classes are called, if they have names.
    """

    pixels: UInt8[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    classes: int
    name: str
    levels: int = 255
    class_names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def channels(self) -> int:
        """The number of channels c of an image."""
        return self.pixels.shape[1]

    def batch(self, indices: Int64[Tensor, " k"] | slice | None = None, movement: Movement | None = None) -> ImageBatch:
        """Return the images at ``indices`` (all of them by default), as float32 in [0, 1], and their labels.

        Args:
            indices: which images.
            movement: how they are moved; ``None`` leaves them as they are.
        """
        part = self if indices is None else self.subset(indices)
        sample = indices if isinstance(indices, Tensor) else None
        pixels = part.pixels if movement is None else movement(part.pixels)
        return ImageBatch(pixels.float().div_(self.levels), part.labels, sample, movement)

    def subset(self, indices: Int64[Tensor, " k"] | slice) -> Images:
        """Return the set of the images at ``indices``."""
        if isinstance(indices, slice):
            return replace(self, pixels=self.pixels[indices], labels=self.labels[indices])
        # Half the time of pixels[indices].
        pixels, labels = self.pixels.index_select(0, indices), self.labels.index_select(0, indices)
        return replace(self, pixels=pixels, labels=labels)

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
