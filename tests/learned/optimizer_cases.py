"""A small network and a loop that trains it, for tests of rules as torch optimizers."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import mse_loss

X, Y = torch.randn(6, 3), torch.randn(6, 1)


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def run(model, optimizer, steps, scheduler=None):
    for _ in range(steps):
        optimizer.zero_grad()
        mse_loss(model(X), Y).backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return [p.detach().clone() for p in model.parameters()]


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
