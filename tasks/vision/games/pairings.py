"""Which other image of its batch is an image's partner."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Int64
from torch import Tensor


class Pairing(abc.ABC):
    """A map from images to partners of the same batch. An image that is alone is its own partner."""

    @abc.abstractmethod
    def __call__(self, count: int, device: torch.device) -> Int64[Tensor, " n"]:
        """Return the place of each image's partner.

        Args:
            count: n, how many images there are, at least 1.
            device: where the answer is to be.
        """


@final
@dataclass(frozen=True)
class Reversed(Pairing):
    """The batch read backwards: j = n - 1 - i, from 0; the middle one of an odd number is its own partner.

    Source: the public code of Zhang and Xu 2020 and of Jiang et al. 2021. In a batch in random order it is a random
    partner.
    """

    def __call__(self, count: int, device: torch.device) -> Int64[Tensor, " n"]:
        """Return n - 1, ..., 0."""
        return torch.arange(count - 1, -1, -1, device=device)


@final
@dataclass(frozen=True)
class RandomOther(Pairing):
    """Another image than itself, drawn for each apart from the others, from PyTorch's global generator of the device.

    Source: Jiang et al. 2021, Algorithms 2 and 4.
    """

    def __call__(self, count: int, device: torch.device) -> Int64[Tensor, " n"]:
        """Return (i + r) mod n with r uniform in 1, ..., n - 1."""
        places = torch.arange(count, device=device)
        if count == 1:
            return places
        return (places + torch.randint(1, count, (count,), device=device)) % count
