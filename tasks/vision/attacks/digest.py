"""A short text for the content of modules and tensors, equal only for equal content."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn


def digest(*things: nn.Module | Tensor | str) -> str:
    """Return 32 hexadecimal digits that depend on every weight and buffer, number and letter of ``things``."""
    total = hashlib.sha256()
    for thing in things:
        if isinstance(thing, nn.Module):
            total.update(repr(thing).encode())
            # Buffers that are not saved count too: they may be what normalises.
            for name, value in (dict(thing.named_buffers()) | thing.state_dict()).items():
                total.update(name.encode())
                if isinstance(value, Tensor):
                    _add(total, value)
        elif isinstance(thing, Tensor):
            _add(total, thing)
        else:
            total.update(thing.encode())
    return total.hexdigest()[:32]


def _add(total: hashlib._Hash, tensor: Tensor) -> None:
    total.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
    flat = tensor.detach().cpu().contiguous().flatten()
    total.update(flat.view(torch.uint8).numpy().tobytes())
