"""Random changes of the training images that leave their classes as they are."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import final

import torch

from bilevel.errors import ConfigurationError
from tasks.vision.data.movement import Movement


class Augmentation(abc.ABC):
    """Draws how images are moved. The drawing is done on the CPU, so that it is the same on every device."""

    @abc.abstractmethod
    def draw(self, count: int, generator: torch.Generator | None = None) -> Movement | None:
        """Return a movement for each of ``count`` images; ``None`` if they are not to be moved.

        Args:
            count: how many images.
            generator: what the movements are drawn from; ``None`` is PyTorch's global generator.
        """


@final
@dataclass(frozen=True)
class NoAugmentation(Augmentation):
    """The images stay as they are, and nothing is drawn."""

    def draw(self, count: int, generator: torch.Generator | None = None) -> None:
        """Return ``None``."""
        return


@final
@dataclass(frozen=True)
class CropAndFlip(Augmentation):
    """A frame of zeros is laid around each image, the image's size is cut out anywhere, and it may be mirrored.

    Rows and columns of the cut are uniform, all independent of one another.

    Args:
        padding: the width of the frame in pixels, at least 0.
        flip: the probability that left and right change places, in [0, 1]; for 0 nothing is drawn for it.

    Raises:
        ConfigurationError: if an argument is out of range.

    Source: the usual one of CIFAR-10 (He et al. 2016, section 4.2), which the code of Jiang et al. 2021 has too.
    """

    padding: int = 4
    flip: float = 0.5

    def __post_init__(self) -> None:
        if self.padding < 0 or not 0 <= self.flip <= 1:
            raise ConfigurationError(
                f"A crop has a padding of at least 0 pixels and flips with a probability in [0, 1]; got {self.padding} "
                f"and {self.flip}."
            )

    def draw(self, count: int, generator: torch.Generator | None = None) -> Movement:
        """Return a shift and perhaps a flip for each image."""
        down, right = torch.randint(-self.padding, self.padding + 1, (2, count), generator=generator)
        if self.flip == 0:
            flipped = torch.zeros(count, dtype=torch.bool)
        else:
            flipped = torch.rand(count, generator=generator) < self.flip
        return Movement(down, right, flipped)
