"""Small images, networks and tasks in float64, and the same mathematics written out once more in plain PyTorch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from bilevel.learned import LSTM, Direction, Iterate, LogSign
from tasks.meta.attack import SignAttack
from tasks.meta.config import MetaConfig
from tasks.meta.mixture import CLEAN, Mixture
from tasks.meta.problems import Classification
from tasks.meta.task import Training
from tasks.vision.data import ImageBatch, Images

ATTACK = SignAttack(0.2)
MIXED = Mixture(0.4, ATTACK)
QUICK = MetaConfig(windows=4, windows_per_row=2, truncation=2, horizon=4, ramp=0.5, hidden=(4,), rule_hidden=3)


def images(count=12, side=2, classes=3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, 1, side, side), generator=draw, dtype=torch.uint8)
    return Images(pixels, torch.arange(count) % classes, classes=classes, name="noise")


class Small(nn.Module):
    """A network in float64, with a unit that is smooth."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 3, dtype=torch.float64)
        self.second = nn.Linear(3, 3, dtype=torch.float64)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x.flatten(1).double())))


def reference_logits(z, x):
    hidden = torch.tanh(x.flatten(1).double() @ z["first.weight"].T + z["first.bias"])
    return hidden @ z["second.weight"].T + z["second.bias"]


def reference_loss(z, batch, mixture):
    """Return the mixture's loss, its adversarial images made by hand in as many steps as the attack has."""
    total = mixture.alpha * cross_entropy(reference_logits(z, batch.x), batch.y)
    if mixture.alpha == 1:
        return total
    attack, x = mixture.attack, batch.x
    constants = {name: w.detach() for name, w in z.items()}
    for _ in range(attack.steps):
        x = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(cross_entropy(reference_logits(constants, x), batch.y), x)
        x = x + attack.step * attack.eps * slope.sign()
        x = torch.minimum(torch.maximum(x, batch.x - attack.eps), batch.x + attack.eps).clamp(0, 1)
    return total + (1 - mixture.alpha) * cross_entropy(reference_logits(z, x.detach()), batch.y)


def problem(pool):
    """Return a problem whose every batch is the whole pool, in some order."""
    return Classification(Small, batch_size=len(pool))


def task(pool, *, shown=CLEAN, judged=MIXED, leader=None, episode=2):
    return Training(problem(pool), shown=shown, judged=judged, episode=episode, leader=leader)


def whole(pool) -> ImageBatch:
    return pool.batch()


def rule_in_float64(*, detach=True, scale=0.3):
    torch.manual_seed(5)
    return LSTM(3, 2, inputs=(Direction(LogSign(4.0), detach=detach), Iterate(scale=2.0)), scale=scale).double()
