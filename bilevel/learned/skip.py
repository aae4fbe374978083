"""A network whose last layer sees the input once more."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn


@final
class SkipToLast(nn.Module):
    r"""$\mathrm{last}([\mathrm{body}(x), x])$: the gradient reaches the last layer unfiltered, which eases training.

    Args:
        body: all layers but the last; it may return up to a row and a column more than it was given, as a
            stride of two and its transpose do for odd sizes, and these are cut off.
        last: the last layer, on the channels of the body's output and then of ``x``.

    Source: Jiang et al., ICLR 2020 submission, appendix B.
    """

    def __init__(self, body: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.last = last

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """Return the last layer's output."""
        height, width = x.shape[-2:]
        features = self.body(x)[..., :height, :width]
        out: Tensor = self.last(torch.cat([features, x], dim=1))
        return out
