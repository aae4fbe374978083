"""Work with modules in evaluation mode that leaves no trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def undisturbed(*modules: nn.Module, device: torch.device, seed: int) -> Iterator[None]:
    """Within the context ``modules`` are in evaluation mode, and random numbers come from ``seed``.

    On leaving, by an error too, each submodule has the mode that it had, and PyTorch's random numbers go on where they
    were.

    Args:
        modules: the modules, for example a classifier and a learned attacker.
        device: where the work is done; its random numbers and those of the CPU are kept apart.
        seed: the seed of the random numbers within.
    """
    modes = [(part, part.training) for module in modules for part in module.modules()]
    devices = [_index(device)] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        # Not torch.manual_seed: it would seed all GPUs, and only one is kept apart.
        for generator in (torch.default_generator, *(torch.cuda.default_generators[i] for i in devices)):
            generator.manual_seed(seed)
        try:
            for module in modules:
                module.eval()
            yield
        finally:
            # Not by train(): a module may override it, and submodules may differ in their modes.
            for part, mode in modes:
                part.training = mode


def _index(device: torch.device) -> int:
    return torch.cuda.current_device() if device.index is None else device.index
