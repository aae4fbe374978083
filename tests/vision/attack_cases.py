"""Images without structure, and a learned rule, for the tests of attacks."""

from __future__ import annotations

import torch

from bilevel.learned import Convolutional, Direction, Iterate, Noise, Sign, Small
from tasks.vision.data import ImageBatch


def images(n=12, *, channels=1, classes=4, dtype=torch.float32, low=0.0, high=1.0) -> ImageBatch:
    draw = torch.Generator().manual_seed(1)
    x = low + (high - low) * torch.rand(n, channels, 4, 4, generator=draw, dtype=dtype)
    return ImageBatch(x, torch.randint(0, classes, (n,), generator=draw))


def learned_rule(*, noise: bool = False) -> Convolutional:
    """Return a rule with weights that do not depend on what was drawn before."""
    inputs = (Iterate(), Direction(Sign()), *((Noise(),) if noise else ()))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Convolutional(1, Small(width=4), scale=0.2, inputs=inputs)
