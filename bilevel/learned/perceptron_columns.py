"""A perceptron for very many coordinates that it treats alone, with one column a coordinate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

COLUMNS: Final = 16384
"""How many columns are worked on at a time without a graph; the layers' outputs stay in the processor's cache then."""


def takes_columns(network: nn.Sequential) -> bool:
    """Whether `answers` can stand for ``network``: linear layers with biases, and PReLUs of one slope, only."""
    return all(
        (type(layer) is nn.Linear and layer.bias is not None) or (type(layer) is nn.PReLU and layer.num_parameters == 1)
        for layer in network
    )


def answers(network: nn.Sequential, seen: Sequence[Float[Tensor, " columns"]]) -> Float[Tensor, " columns"]:
    """Return what ``network``, which has one output, makes of each column of ``seen``.

    Rows of a few numbers are what a matrix product is slowest at. As columns they are a product of a small matrix with
    a very wide one, and each activation is one contiguous piece.

    Args:
        network: a perceptron of which `takes_columns` holds.
        seen: its inputs, each for all columns.
    """
    graph = torch.is_grad_enabled() and any(t.requires_grad for t in (*seen, *network.parameters()))
    if graph or not seen[0].is_cpu or torch.is_autocast_enabled("cpu"):
        return _whole(network, torch.stack(tuple(seen)))
    layers = [layer for layer in network if isinstance(layer, nn.Linear)]
    slopes = [layer.weight.item() for layer in network if isinstance(layer, nn.PReLU)]
    width = min(COLUMNS, len(seen[0]))
    rooms = [seen[0].new_empty((layer.in_features, width)) for layer in layers]
    weights = [(layer.bias[:, None], layer.weight) for layer in layers]
    out = seen[0].new_empty((1, len(seen[0])))
    for first in range(0, out.shape[1], width):
        columns = slice(first, min(first + width, out.shape[1]))
        inputs = rooms if columns.stop - first == width else [room[:, : columns.stop - first] for room in rooms]
        torch.stack([row[columns] for row in seen], out=inputs[0])
        for pair, slope, x, y in zip(weights, slopes, inputs, inputs[1:], strict=False):
            functional.leaky_relu_(torch.addmm(*pair, x, out=y), slope)
        torch.addmm(*weights[-1], inputs[-1], out=out[:, columns])
    return out[0]


def _whole(network: nn.Sequential, x: Float[Tensor, "seen columns"]) -> Float[Tensor, " columns"]:
    """Return the answers in autograd's own operations."""
    for layer in network:
        if isinstance(layer, nn.Linear):
            x = torch.addmm(layer.bias[:, None], layer.weight, x)
        elif isinstance(layer, nn.PReLU):
            x = functional.prelu(x, layer.weight)
    return x[0]
