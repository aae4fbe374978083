"""Gradients of bounded length."""

from __future__ import annotations

import math
from typing import Any, final

import torch
from torch import optim

from bilevel.errors import ConfigurationError


@final
class ClipNorm:
    r"""Shortens the gradient of all parameters of an optimizer together.

    $$g \leftarrow g \, \min(1, c / \lVert g \rVert_2)$$

    It is a hook: ``optimizer.register_step_pre_hook(ClipNorm(1.0))``. Nothing waits for the device. Several processes
    clip the mean of their gradients. The norms in a `Record` are those before clipping.

    Args:
        limit: c, the largest Euclidean norm, above 0.

    Raises:
        ConfigurationError: if ``limit`` is no finite number above 0.
    """

    def __init__(self, limit: float) -> None:
        if not (limit > 0 and math.isfinite(limit)):
            raise ConfigurationError(f"ClipNorm: limit must be a finite number above 0, got {limit}.")
        self.limit = limit

    def __call__(self, optimizer: optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Clip what the optimizer is about to step along."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, self.limit)
