"""A set of images served in batches, to one process or to several."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch

from bilevel.errors import ConfigurationError
from tasks.vision.data.augmentation import Augmentation, NoAugmentation
from tasks.vision.data.images import ImageBatch, Images


@final
@dataclass(frozen=True)
class Batches:
    """All images of a set, in batches, each time in a new order and moved anew.

    Order and movements of an epoch are drawn when it begins, on the CPU, so that they depend neither on the device nor
    on the number of processes. The last batch holds what is left and may be smaller.

    Of several processes each gets its part of every batch: the parts, put together in the order of ``rank``, are the
    batch that one process would get, if all begin the epoch with the same state of the generator. Parts are of equal
    size, so that the mean of their gradients is the gradient of the whole; for that up to ``world - 1`` images of the
    last batch are passed over.

    Args:
        images: the set.
        batch_size: images a batch, over all processes; at least 1 and at most as many as there are.
        augmentation: how images are moved.
        drop_last: pass over a last batch that is smaller (so that all shapes are the same, as compiled programs like).
        rank: which of the processes this is, from 0.
        world: how many processes there are; ``batch_size`` is a multiple of it.
        generator: what order and movements are drawn from; ``None`` is PyTorch's global generator. `bilevel.fit` keeps
            its state either way. Processes that draw other random numbers too need a generator for this alone.

    Raises:
        ConfigurationError: if an argument is out of range.
    """

    images: Images
    batch_size: int
    augmentation: Augmentation = NoAugmentation()  # noqa: RUF009 (frozen)
    drop_last: bool = False
    rank: int = 0
    world: int = 1
    generator: torch.Generator | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= len(self.images):
            raise ConfigurationError(
                f"The batch size is {self.batch_size}, but {self.images.name} has {len(self.images)} images to learn "
                f"from: choose one from 1 to {len(self.images)}."
            )
        if not 0 <= self.rank < self.world:
            raise ConfigurationError(
                f"The processes are numbered from 0 to {self.world - 1}, got the rank {self.rank} of {self.world}."
            )
        if self.batch_size % self.world:
            raise ConfigurationError(
                f"A batch of {self.batch_size} cannot be divided equally among {self.world} processes: choose a "
                f"multiple of {self.world}."
            )

    @property
    def _served(self) -> int:
        """How many images all processes together see in an epoch."""
        rest = len(self.images) % self.batch_size
        passed_over = rest if self.drop_last else rest % self.world
        return len(self.images) - passed_over

    def __len__(self) -> int:
        return math.ceil(self._served / self.batch_size)

    def __iter__(self) -> Iterator[ImageBatch]:
        device = self.images.labels.device
        order = torch.randperm(len(self.images), generator=self.generator)
        movement = self.augmentation.draw(len(order), self.generator)
        order = order.to(device)
        movement = None if movement is None else movement.to(device)
        for begin in range(0, self._served, self.batch_size):
            share = (min(begin + self.batch_size, self._served) - begin) // self.world
            part = slice(begin + self.rank * share, begin + (self.rank + 1) * share)
            yield self.images.batch(order[part], None if movement is None else movement[part])
