"""Adam for factored layers, with a second moment of rank one and no first."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import final, overload

import torch
from torch import Tensor, nn, optim

from bilevel.errors import ConfigurationError
from bilevel.learned.factored import FactoredLinear


@final
class FactoredAdam(optim.Optimizer):
    r"""Move each entry against its gradient, over the root of its mean squared gradient.

    A factored layer's gradient is $G = \delta x^\top$, and what Adam would keep of its squares, $V_t = \beta V_{t-1} +
    (1 - \beta)\, G \circ G$, is kept by the means of its rows and columns:

    $$r_t = \beta r_{t-1} + (1 - \beta)\, \delta^2\, \overline{x^2}, \qquad
    c_t = \beta c_{t-1} + (1 - \beta)\, x^2\, \overline{\delta^2}, \qquad \hat V = r c^\top / \bar r$$

    $$W \leftarrow W - \eta\, \frac{\delta}{\sqrt{r}} \Big(\frac{x}{\sqrt{c / \bar r}}\Big)^{\!\top}
    \quad\text{(one change of rank one, in place)}$$

    with r and c divided by $1 - \beta^t$, and ε added to both roots. All other parameters (biases, slopes of PReLUs)
    have a squared mean of their own and move by the same formula.

    What is exact: G, the means of V's rows and columns, and with them the whole of V as long as the squares of δ and
    of x each keep their proportions, as in the first step. What is not Adam's: V within these means, and β₁ is 0 (a
    first moment of G has no such form). A hook that changes gradients (`bilevel.ClipNorm`) sees δ only.

    Args:
        rule: a rule after `factored`.
        lr: η; positive.
        decay: β, in [0, 1).
        epsilon: ε, in the units of the gradient; positive.

    Raises:
        ConfigurationError: if a number is out of its range, or the rule has no factored layer.

    Source: Shazeer and Stern 2018, Algorithm 2 (Adafactor's second moment); Kingma and Ba 2015.
    """

    def __init__(self, rule: nn.Module, lr: float = 1e-3, *, decay: float = 0.999, epsilon: float = 1e-8) -> None:
        if not (math.isfinite(lr) and lr > 0 and 0 <= decay < 1 and epsilon > 0):
            raise ConfigurationError(
                f"FactoredAdam got lr={lr}, decay={decay} and epsilon={epsilon}; it needs a positive lr and epsilon, "
                "and a decay from 0 to below 1"
            )
        self._layers: dict[Tensor, FactoredLinear] = {
            one.bias: one for one in rule.modules() if isinstance(one, FactoredLinear)
        }
        if not self._layers:
            raise ConfigurationError(
                f"{type(rule).__name__} has no factored layer: call bilevel.learned.factored(rule) first, or train it "
                "by torch.optim.Adam"
            )
        trained = [p for p in rule.parameters() if p.requires_grad]
        super().__init__(trained, {"lr": lr, "decay": decay, "epsilon": epsilon})

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()  # type: ignore[untyped-decorator, unused-ignore]
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Move all parameters that have a gradient, and with a bias its layer's weight.

        Raises:
            ConfigurationError: if a layer was not used just once since the last step.
        """
        if closure is not None:
            raise ConfigurationError("FactoredAdam takes no closure: call backward before step.")
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._move(p, p.grad, group["lr"], group["decay"], group["epsilon"])
        return None

    def _move(self, p: Tensor, slope: Tensor, lr: float, decay: float, epsilon: float) -> None:
        state, layer = self.state[p], self._layers.get(p)
        if not state:
            state.update({"step": 0, "square": torch.zeros_like(p)})
            if layer is not None:
                state["rows"], state["columns"] = torch.zeros_like(p), p.new_zeros(layer.weight.shape[1])
        state["step"] += 1
        known = 1 - decay ** state["step"]
        squared = slope.square()
        square = state["square"].lerp_(squared, 1 - decay)
        p.addcdiv_(slope, (square / known).sqrt_().add_(epsilon), value=-lr)
        if layer is None:
            return
        x = layer.take_input()
        squared_input = x.square()
        rows = state["rows"].lerp_(squared * squared_input.mean(), 1 - decay)
        columns = state["columns"].lerp_(squared_input * squared.mean(), 1 - decay)
        left = slope / (rows / known).sqrt_().add_(epsilon)
        right = x / (columns / rows.mean().clamp_min(torch.finfo(p.dtype).tiny)).sqrt_().add_(epsilon)
        layer.weight.addr_(left, right, alpha=-lr)
