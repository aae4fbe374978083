"""What a network is built from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from tasks.vision.networks.normalise import Normalise


@final
@dataclass(frozen=True, slots=True)
class Blueprint:
    """The sizes of a network; one that has no use for a size passes over it.

    Attributes:
        channels: channels of an image.
        classes: number of classes.
        width: channels of the first layers, or the widening factor; ``None`` for the network's usual.
        depth: number of layers; ``None`` for the network's usual.
        dropout: share of the features that are dropped while it learns.
        normalise: what the images go through first, if anything.
    """

    channels: int
    classes: int
    width: int | None = None
    depth: int | None = None
    dropout: float = 0.0
    normalise: Normalise | None = None
