"""What is alive, for tests of what must not grow."""

from __future__ import annotations

import gc

import torch


def alive():
    """Return how many tensors there are, and how many of them have a graph."""
    gc.collect()
    tensors = [o for o in gc.get_objects() if issubclass(type(o), torch.Tensor)]
    return len(tensors), sum(t.grad_fn is not None for t in tensors)
