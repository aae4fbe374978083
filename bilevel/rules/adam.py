"""Adam."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from bilevel.errors import ConfigurationError
from bilevel.flat import flatten
from bilevel.rules.protocol import State
from bilevel.rules.safe_roots import safe_sqrt
from bilevel.tree import Tree
from bilevel.vector import join, split


class AdamState(NamedTuple):
    """What Adam remembers: m and v, all entries of z in one vector, and t, which is always on the CPU."""

    mean: Float[Tensor, " size"]
    square: Float[Tensor, " size"]
    steps: Int[Tensor, ""]


@final
@dataclass(frozen=True)
class Adam:
    r"""Move each coordinate against its mean gradient, over the root of its mean squared gradient.

    $$m_t = \beta_1 m_{t-1} + (1 - \beta_1)\, g, \qquad v_t = \beta_2 v_{t-1} + (1 - \beta_2)\, g^2, \qquad
    u = -\eta\, \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}$$

    The same as ``torchopt.adam``, in fewer operations: the entries of all tensors are worked on as one vector. It can
    be differentiated where a gradient is exactly 0. TorchOpt takes $\beta^t$ in single precision, this rule in double.

    Args:
        step: η; positive.
        decays: β₁ and β₂, in [0, 1).
        epsilon: ε, in the units of the gradient; positive.

    Raises:
        ConfigurationError: if one of them is out of its range.

    Source: Kingma and Ba 2015, Algorithm 1.

    Examples:
        >>> rule = Adam(0.1)
        >>> rule.update(torch.tensor([3.0, -2.0]), rule.init(torch.zeros(2)))[0]
        tensor([-0.1000,  0.1000])
    """

    step: float
    decays: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    smooth_at_zero: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("step", "epsilon"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigurationError(f"Adam's {name} is {value}; it must be positive and finite")
        if not all(0 <= decay < 1 for decay in self.decays):
            raise ConfigurationError(f"Adam's decays are {self.decays}; they must be at least 0 and below 1")

    def init(self, params: Tree) -> State:
        """Return both means at 0."""
        mean = torch.zeros_like(join(flatten(params).leaves), requires_grad=False)
        return AdamState(mean, torch.zeros_like(mean), torch.tensor(0))

    def update(
        self, grads: Tree, state: State, *, params: Tree | None = None, inplace: bool = False
    ) -> tuple[Tree, State]:
        """Return the updates and the next state."""
        slopes, (first, second), count = flatten(grads), self.decays, int(state.steps) + 1
        gradient = join(slopes.leaves)
        mean = torch.lerp(state.mean, gradient, 1 - first)
        square = torch.addcmul(state.square * second, gradient, gradient, value=1 - second)
        # The corrections are put into the two numbers, where they cost nothing.
        correction = math.sqrt(1 - second**count)
        size = safe_sqrt(square) + self.epsilon * correction
        updates = mean / size * (-self.step * correction / (1 - first**count))
        return slopes.like(split(updates, slopes.leaves)).tree, AdamState(mean, square, torch.tensor(count))
