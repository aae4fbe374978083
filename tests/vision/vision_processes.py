"""An adversarial training that two processes do together."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

import bilevel
from bilevel.processes import Alone
from tasks.vision.config import DROConfig
from tasks.vision.data import Split, digits
from tasks.vision.methods import L2L
from tasks.vision.train import build

CONFIG = DROConfig(epochs=2, batch_size=32, clip=1.0, ema=0.9, lr=0.05)


def unnormed(before: int, after: int) -> nn.Module:
    """Return an attacker's network without batch norm, which would see the share alone."""
    return nn.Sequential(nn.Conv2d(before, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, after, 3, padding=1))


def trained(rank: int, folder: Path | None) -> list[dict[str, Tensor]]:
    """Return the weights of both players, and the averaged ones, of a training without batch norm and random starts."""
    whole = digits(0)
    split = Split(*(part.subset(slice(0, 100)) for part in (whole.train, whole.validation, whole.test)))
    torch.manual_seed(rank)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10))
    processes = bilevel.Together() if torch.distributed.is_initialized() else Alone()
    method = L2L(network=unnormed, steps=2)
    training = build(CONFIG, model=model, method=method, split=split, processes=processes)
    bilevel.fit(
        training.solver,
        training.batches,
        epochs=CONFIG.epochs,
        folder=folder,
        step_schedulers=[training.scheduler],
        after_step=[training.average.update],
        progress=False,
    )
    players = (training.solver.task.leader, training.solver.rule, training.model)
    return [dict(player.state_dict()) for player in players]
