r"""One LSTM layer for some columns, one a coordinate, without autograd.

$$\begin{pmatrix} i \\ f \\ g \\ o \end{pmatrix} = \begin{pmatrix} \sigma \\ \sigma \\ \tanh \\ \sigma \end{pmatrix}
\Big(W \begin{pmatrix} x \\ h \end{pmatrix} + b\Big), \qquad c' = f c + i g, \qquad h' = o \tanh c'$$

Columns make each gate one contiguous piece. The hyperbolic tangent is taken as $1 - 2 \sigma(-2 a)$, for which the rows
of g in W and b are multiplied by -2: right to rounding, and several times faster. A product with it is then one
operation, $o \tanh c' = o - 2 o \, \sigma(-2 c')$.
"""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Weights(NamedTuple):
    """Those of one layer, its input weights beside its recurrent ones, the rows of g multiplied by -2."""

    matrix: Float[Tensor, "gates seen"]
    bias: Float[Tensor, "gates 1"]


def pack(cell: nn.LSTMCell) -> Weights:
    """Return the weights of ``cell``, with their graph."""
    matrix = torch.cat([cell.weight_ih, cell.weight_hh], dim=1)
    bias = cell.bias_ih + cell.bias_hh
    hidden = cell.hidden_size
    factor = torch.ones_like(bias[:, None], requires_grad=False)
    factor[2 * hidden : 3 * hidden] = -2
    return Weights(factor * matrix, factor * bias[:, None])


@final
class Layer:
    """One layer and its buffers: x above h, the gates, of which g as σ(-2 a), and the next c as σ(-2 c').

    Args:
        weights: those of the layer.
        width: how many columns there are at most.
    """

    def __init__(self, weights: Weights, width: int) -> None:
        rows, seen = weights.matrix.shape
        new = weights.matrix.new_empty
        self.weights = weights
        self.seen, self.gates, self.sigma = new((seen, width)), new((rows, width)), new((rows // 4, width))
        self._after: tuple[Tensor, Tensor] | None = None

    def after(self, at: slice) -> tuple[Tensor, Tensor]:
        """Return room for the next h and c of some columns."""
        if self._after is None:
            self._after = torch.empty_like(self.sigma), torch.empty_like(self.sigma)
        h, c = self._after
        return h[:, : at.stop - at.start], c[:, : at.stop - at.start]

    def forward(self, below: Tensor, h: Tensor, c: Tensor, h_after: Tensor, c_after: Tensor) -> None:
        """Compute the next h and c, which may take the place of ``h`` and ``c``."""
        seen, gates, sigma = (t[:, : below.shape[1]] for t in (self.seen, self.gates, self.sigma))
        torch.cat([below, h], out=seen)
        torch.addmm(self.weights.bias, self.weights.matrix, seen, out=gates).sigmoid_()
        i, f, g, o = gates.chunk(4)
        torch.addcmul(i, i, g, value=-2, out=sigma)  # i tanh(a), on its way to c'
        torch.addcmul(sigma, c, f, out=c_after)
        torch.mul(c_after, -2, out=sigma).sigmoid_()
        torch.addcmul(o, o, sigma, value=-2, out=h_after)

    def backward(self, dh: Tensor, dc: Tensor | None, c: Tensor, found: Weights, c_found: Tensor) -> Tensor:
        """Return the cotangent of x above h, for the columns of the last `forward`.

        Args:
            dh: the cotangent of the next h.
            dc: that of the next c.
            c: the c before.
            found: where the cotangents of the weights are added up.
            c_found: takes up the cotangent of ``c``.
        """
        seen, gates, sigma = (t[:, : c.shape[1]] for t in (self.seen, self.gates, self.sigma))
        i, f, g, o = gates.chunk(4)
        # The square of tanh c', off one, is 4 σ (1 - σ).
        torch.addcmul(sigma, sigma, sigma, value=-1, out=c_found).mul_(o)
        if dc is None:
            c_found.mul_(dh).mul_(4)
        else:
            torch.addcmul(dc, c_found, dh, value=4, out=c_found)
        slopes = torch.addcmul(gates, gates, gates, value=-1)
        at_i, at_f, at_g, at_o = slopes.chunk(4)
        at_i.mul_(c_found)
        at_i.addcmul_(at_i, g, value=-2)
        at_f.mul_(c_found).mul_(c)
        at_g.mul_(c_found).mul_(i).mul_(-2)  # tanh a is 1 - 2 σ
        at_o.mul_(dh)
        at_o.addcmul_(at_o, sigma, value=-2)
        c_found.mul_(f)
        found.matrix.addmm_(slopes, seen.t())
        found.bias.add_(slopes.sum(1, keepdim=True))
        return self.weights.matrix.t() @ slopes
