"""A batch, a classifier that has seen others, and a method's solver for them."""

from __future__ import annotations

import torch

from tasks.vision.data import ImageBatch
from tasks.vision.networks import SmallConvNet

EPS = 0.2


def batch(n=6, dtype=torch.float32):
    return ImageBatch(torch.rand(n, 1, 8, 8, dtype=dtype), torch.arange(n) % 10)


def warm(dtype=torch.float32):
    """Return a classifier whose running statistics are not those of a batch."""
    model = SmallConvNet(width=3).to(dtype)
    model(torch.rand(50, 1, 8, 8, dtype=dtype))
    return model


def solver_of(method, model, lr=0.1, **settings):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, **settings)
    return method.solver(model, eps=EPS, channels=1, samples=64, leader_optimizer=optimizer)
