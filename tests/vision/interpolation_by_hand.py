"""Adversarial interpolation training once more, image by image and in plain torch."""

from __future__ import annotations

import torch

from tasks.vision.data import ImageBatch
from tasks.vision.games import Towards
from tasks.vision.networks import SmallConvNet

EPS, LABEL_EPS = 0.2, 0.4


def batch(n=6):
    return ImageBatch(torch.rand(n, 1, 8, 8, dtype=torch.float64), torch.arange(n) % 10)


def warm():
    """Return a classifier whose running statistics are not those of a batch."""
    model = SmallConvNet(width=3).double()
    model(torch.rand(50, 1, 8, 8, dtype=torch.float64))
    return model


def solver_of(method, model, lr=1.0):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    return method.solver(model, eps=EPS, channels=1, samples=64, leader_optimizer=optimizer)


def labels_by_hand(y, partner, classes, label_eps):
    labels = torch.zeros(len(y), classes, dtype=torch.float64)
    for i, (own, other) in enumerate(zip(y.tolist(), partner.tolist(), strict=True)):
        for c in range(classes):
            labels[i, c] = (1 - label_eps) * (c == own) + label_eps * (1 - (c == other)) / (classes - 1)
    return labels


def loss_by_hand(model, z, labels):
    return -(labels * model(z).log_softmax(1)).sum(1).mean()


def cosine_by_hand(feature, partner):
    return torch.stack([a @ b / (a.norm() * b.norm()) for a, b in zip(feature, partner, strict=True)])


def feature_loss_by_hand(model, z, partners, kind):
    cosine = cosine_by_hand(model.embed(z), model.embed(partners).detach())
    return (1 - cosine).mean() if kind == Towards() else cosine.mean()


def project(x, z):
    return (x + (z - x).clamp(-EPS, EPS)).clamp(0, 1)


def signed_steps_by_hand(model, b, z, partners, *, kind, steps):
    model.eval()
    for _ in range(steps):
        z = z.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(feature_loss_by_hand(model, z, partners, kind), z)
        z = project(b.x, z.detach() - EPS * gradient.sign())
    model.train()
    return z
