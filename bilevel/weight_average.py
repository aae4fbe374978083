"""An average of a module's weights along a training."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, final

import torch
from torch import Tensor, nn

from bilevel.errors import ConfigurationError


@final
class WeightAverage:
    r"""An exponential moving average of a module's parameters and floating-point buffers.

    $$\bar\theta_t = \theta_t \ \ (t \le s), \qquad
    \bar\theta_t = d_n\,\bar\theta_{t-1} + (1 - d_n)\,\theta_t \ \ (t > s), \qquad
    d_n = \min\Big(d, \frac{1 + n}{10 + n}\Big), \ n = t - s$$

    The decay grows to d, as in TensorFlow's ``ExponentialMovingAverage``: with d from the first step on, the average of
    a training that is not much longer than 1 / (1 - d) steps would consist of the first weights, which know nothing.

    Running statistics of batch norm are averaged like weights. A layer's mean input is linear in the weights of the
    layer before it, so that to first order the average of the means is the mean under the averaged weights; measuring
    them anew would take passes over the data after each epoch. Whole numbers, such as batch norm's count of batches,
    are copied.

    Hand `update` to `bilevel.fit` as one of ``after_step``, and the object itself as one of ``extras``.

    Args:
        module: what is averaged.
        decay: d, which the decay grows to, in (0, 1).
        start: s, after how many steps the average begins; until then it follows the module.

    Attributes:
        average: the averaged module, a copy in evaluation mode without gradients.
        steps: t, how many updates there were.

    Raises:
        ConfigurationError: if ``decay`` or ``start`` is out of range.
    """

    def __init__(self, module: nn.Module, decay: float, start: int = 0) -> None:
        if not 0 < decay < 1:
            raise ConfigurationError(f"The decay of averaged weights must be in (0, 1), such as 0.999; got {decay}.")
        if start < 0:
            raise ConfigurationError(f"start, the number of steps before weights are averaged, is negative: {start}.")
        self.decay = decay
        self.start = start
        self.steps = 0
        self.average = deepcopy(module).requires_grad_(False).eval()
        pairs = list(zip(_tensors(self.average), _tensors(module), strict=True))
        self._averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        self._copied = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the module's weights after a step; nothing waits for the device."""
        self.steps += 1
        averages, values = [a for a, _ in self._averaged], [v.detach() for _, v in self._averaged]
        if (n := self.steps - self.start) > 0:
            torch._foreach_lerp_(averages, values, 1 - min(self.decay, (1 + n) / (10 + n)))
        else:
            torch._foreach_copy_(averages, values)
        for copy, value in self._copied:
            copy.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """Return the average and the number of updates."""
        return {"average": self.average.state_dict(), "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the state that `state_dict` returned."""
        self.average.load_state_dict(state["average"])
        self.steps = state["steps"]


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]
