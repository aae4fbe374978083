"""Several tensors as one vector, and back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def join(tensors: Sequence[Tensor]) -> Float[Tensor, " size"]:
    """Return the entries of all ``tensors``, one after another."""
    return torch.cat([one.reshape(-1) for one in tensors])


def split(vector: Float[Tensor, "*rows size"], like: Sequence[Tensor]) -> list[Tensor]:
    """Return ``vector``, or each of several, cut into tensors of the shapes and dtypes of ``like``."""
    parts = torch.split(vector, [one.numel() for one in like], dim=-1)
    pairs = zip(parts, like, strict=True)
    return [part.reshape((*vector.shape[:-1], *one.shape)).to(one.dtype) for part, one in pairs]
