"""How a gradient is scaled before a learned rule reads it.

Each turns a tensor into planes of the same shape. A zero tensor never gives NaN, nor does its derivative;
a gradient that is not finite stays visible as NaN or infinity, so that it is found where it arose.
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from bilevel.errors import ConfigurationError
from bilevel.rules.sign import visible_sign


class Preprocess(abc.ABC):
    """A map from a gradient to planes of its shape."""

    planes: ClassVar[int] = 1
    """How many planes come out."""

    by_rows: ClassVar[bool] = False
    """Whether the planes of a row depend on that row alone, so that some rows may be read before others."""

    @abc.abstractmethod
    def __call__(self, g: Float[Tensor, "*shape"]) -> tuple[Float[Tensor, "*shape"], ...]:
        """Return the planes of ``g``, in the dtype and on the device of ``g``."""

    def saturated(self, g: Float[Tensor, "*shape"]) -> Bool[Tensor, "*shape"] | None:
        """Return where a plane has reached the end of its range; ``None`` if none has an end."""
        return None


@final
@dataclass(frozen=True)
class Raw(Preprocess):
    """The gradient as it is: $g$."""

    by_rows: ClassVar[bool] = True

    def __call__(self, g: Float[Tensor, "*shape"]) -> tuple[Float[Tensor, "*shape"], ...]:
        """Return ``g``."""
        return (g,)


@final
@dataclass(frozen=True)
class BatchMax(Preprocess):
    r"""The gradient over its largest entry: $g / \max_i |g_i|$, over the whole tensor, the batch included.

    So a sample's plane depends on the other samples of its batch; `SampleRMS` has no such coupling.

    Source: the public code of Jiang et al. 2021 (the paper feeds the gradient as it is).
    """

    def __call__(self, g: Float[Tensor, "*shape"]) -> tuple[Float[Tensor, "*shape"], ...]:
        """Return ``g`` scaled into [-1, 1]; zeros for a zero tensor."""
        unit = _unit(g, tuple(range(g.ndim)))
        if not g.requires_grad:
            return (unit,)
        # The division by the maximum of ``unit``, which is 1, gives the maximum its share of the derivative.
        return (_divide(unit, unit.abs().amax()),)


@final
@dataclass(frozen=True)
class SampleRMS(Preprocess):
    r"""Each sample over its root mean square: $g_i / \sqrt{\mathrm{mean}_j \, g_{ij}^2}$.

    Samples are counted by the first dimension; a tensor of less than two dimensions is one sample.
    """

    by_rows: ClassVar[bool] = True

    def __call__(self, g: Float[Tensor, "*shape"]) -> tuple[Float[Tensor, "*shape"], ...]:
        """Return ``g`` with a root mean square of 1 a sample; zeros for a zero sample."""
        dims = tuple(range(1 if g.ndim > 1 else 0, g.ndim))
        # A half precision mean of squares loses digits, and squares of tiny entries vanish in any precision.
        unit = _unit(g.float() if g.dtype in {torch.float16, torch.bfloat16} else g, dims)
        square = unit.square().mean(dims, keepdim=True) if dims else unit.square()
        zero = square == 0
        return (_divide(unit, torch.where(zero, 0, torch.where(zero, 1, square).sqrt())).to(g.dtype),)


@final
@dataclass(frozen=True)
class Sign(Preprocess):
    r"""The sign of each entry: $\mathrm{sign}(g)$, a constant wherever it is defined."""

    by_rows: ClassVar[bool] = True

    def __call__(self, g: Float[Tensor, "*shape"]) -> tuple[Float[Tensor, "*shape"], ...]:
        """Return the signs; 0 for 0."""
        return (visible_sign(g),)


@final
@dataclass(frozen=True)
class LogSign(Preprocess):
    r"""Size and direction of each entry apart, in two planes.

    $$g \mapsto \begin{cases} (\log|g| / p, \; \mathrm{sign}(g)) & |g| \ge e^{-p} \\ (-1, \; e^p g) & \text{else}
    \end{cases}$$

    Zero gives (-1, 0), with a derivative of $e^p$ in the second plane, as the formula says.

    Args:
        p: the logarithm of the size below which a gradient counts as small; positive.

    Raises:
        ConfigurationError: if ``p`` is not a positive finite number.

    Source: Andrychowicz et al. 2016, appendix A; Serban et al. 2020, Eq. 5 with p = 10.
    """

    p: float = 10.0
    by_rows: ClassVar[bool] = True
    planes: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if not (math.isfinite(self.p) and self.p > 0):
            raise ConfigurationError(f"LogSign's p is {self.p}; it must be positive and finite")

    def __call__(self, g: Float[Tensor, "*shape"]) -> tuple[Float[Tensor, "*shape"], ...]:
        """Return the size plane and the direction plane."""
        size = g.abs()
        large = size >= math.exp(-self.p)
        # The branch not taken is made harmless first, or its infinite derivative would turn into 0 * inf.
        log = torch.log(torch.where(large, size, 1)) / self.p
        return torch.where(large, log, -1), torch.where(large, torch.sign(g), math.exp(self.p) * g)

    def saturated(self, g: Float[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
        r"""Return where $|g| < e^{-p}$, so that the size plane is -1."""
        return g.abs() < math.exp(-self.p)


def _divide(g: Tensor, by: Tensor) -> Tensor:
    """Return ``g / by``, and 0 with a derivative of 0 where ``by`` is 0 (NaN stays NaN)."""
    zero = by == 0
    return torch.where(zero, 0, g / torch.where(zero, 1, by))


def _unit(g: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Return ``g`` over its largest entry along ``dims``, which counts as a constant.

    What comes after is safe from underflow and overflow, and being invariant to scale it has the same value
    and the same derivative as without this step.
    """
    size = g.detach().abs()
    return _divide(g, size.amax(dims, keepdim=True) if dims else size)
