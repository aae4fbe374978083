"""Attacks that take turns."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tasks.vision.attacks.base import Attack
from tasks.vision.attacks.predict import predict
from tasks.vision.attacks.undisturbed import undisturbed
from tasks.vision.data import ImageBatch


def in_turn(attacks: Sequence[Attack], model: nn.Module, batch: ImageBatch) -> Float[Tensor, "n c h w"]:
    """Return for each sample the first image of ``attacks`` that fools the model; the last attack's if none does.

    A sample that one attack has fooled is spared the next.
    """
    found = batch.x.clone()
    standing = torch.arange(len(batch.y), device=batch.x.device)
    for attack in attacks:
        if not len(standing):
            break
        rest = ImageBatch(batch.x[standing], batch.y[standing])
        found[standing] = attack(model, rest)
        with undisturbed(model, device=batch.x.device, seed=0):
            standing = standing[predict(model, found[standing]) == rest.y]
    return found
