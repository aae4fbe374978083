"""Gradients of bounded length."""

from __future__ import annotations

import math
from typing import Any, final

import torch
from torch import Tensor, optim

from bilevel.errors import ConfigurationError


@final
class ClipNorm:
    r"""Shortens the gradient of all parameters of an optimizer together.

    $$g \leftarrow g \, \min(1, c / \lVert g \rVert_2)$$

    It is a hook: ``optimizer.register_step_pre_hook(ClipNorm(1.0))``. Nothing waits for the device. Several processes
    clip the mean of their gradients. The norms in a `Record` are those before clipping. How often it clips, `numbers`
    tells; as `fit`'s ``evaluate``, or a part of it, it is logged.

    Args:
        limit: c, the largest Euclidean norm, above 0.

    Raises:
        ConfigurationError: if ``limit`` is no finite number above 0.
    """

    def __init__(self, limit: float) -> None:
        if not (limit > 0 and math.isfinite(limit)):
            raise ConfigurationError(f"ClipNorm: limit must be a finite number above 0, got {limit}.")
        self.limit = limit
        self._steps = 0
        self._sums: tuple[Tensor, Tensor] | None = None  # how often it clipped, and the norms

    def __call__(self, optimizer: optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Clip what the optimizer is about to step along."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.limit).detach()
        clipped, total = self._sums or (torch.zeros_like(norm), torch.zeros_like(norm))
        self._sums = clipped + (norm > self.limit), total + norm
        self._steps += 1

    def numbers(self) -> dict[str, float]:
        """Return ``clipped``, the share of steps that were shortened, and the mean ``norm_before_clipping``.

        Both are since the last call, and begin anew; nothing if there was no step. Only this waits for the device.
        """
        steps, sums = self._steps, self._sums
        self._steps, self._sums = 0, None
        if sums is None:
            return {}
        clipped, total = torch.stack(sums).tolist()
        return {"clipped": clipped / steps, "norm_before_clipping": total / steps}

    def state_dict(self) -> dict[str, Any]:
        """Return the sums so far: with ``extras={"clipping": ...}`` a resumed training logs the same."""
        return {"steps": self._steps, "sums": self._sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the sums that `state_dict` returned."""
        self._steps, self._sums = state["steps"], state["sums"]
