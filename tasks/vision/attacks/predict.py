"""The class that a model sees."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from bilevel.errors import TaskError


def logits_of(model: nn.Module, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
    """Return the output of ``model`` without a graph, in the mode it is in.

    Raises:
        TaskError: if the output is not (n, classes).
    """
    with torch.no_grad():
        return check_logits(model, x, model(x))


def check_logits(model: nn.Module, x: Float[Tensor, "n c h w"], logits: object) -> Float[Tensor, "n k"]:
    """Return ``logits``, the output of ``model`` for ``x``.

    Raises:
        TaskError: if they are not (n, classes).
    """
    if not isinstance(logits, Tensor) or logits.ndim != 2 or logits.shape[0] != x.shape[0]:
        got = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise TaskError(
            f"{type(model).__name__} must return logits of shape (n, classes), here ({x.shape[0]}, classes), for "
            f"images {tuple(x.shape)}; got {got}."
        )
    return logits


def predict(model: nn.Module, x: Float[Tensor, "n c h w"]) -> Int[Tensor, " n"]:
    """Return the class with the largest logit, for each image."""
    return logits_of(model, x).argmax(1)
