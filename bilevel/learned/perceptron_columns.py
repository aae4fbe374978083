"""A perceptron for very many coordinates that it treats alone, with one column a coordinate.

Rows of a few numbers are what a matrix product is slowest at. As columns they are a product of a small matrix with a
very wide one, and each activation is one contiguous piece.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

COLUMNS: Final = 28672
"""How many columns are worked on at a time without a graph: enough that calls cost little, few enough for a cache."""


def takes_columns(network: nn.Sequential) -> bool:
    """Whether the functions here can stand for ``network``: linear layers with biases, PReLUs of one slope, no more."""
    return all(
        (type(layer) is nn.Linear and layer.bias is not None) or (type(layer) is nn.PReLU and layer.num_parameters == 1)
        for layer in network
    )


def in_pieces(network: nn.Sequential, tensors: Sequence[Tensor]) -> bool:
    """Whether `answers_in_pieces` can be asked: on a CPU, if neither ``tensors`` nor ``network`` need a graph."""
    graph = torch.is_grad_enabled() and any(t.requires_grad for t in (*tensors, *network.parameters()))
    return tensors[0].device.type == "cpu" and not graph and not torch.is_autocast_enabled("cpu")


def answers(network: nn.Sequential, x: Float[Tensor, "seen columns"]) -> Float[Tensor, " columns"]:
    """Return what ``network``, which has one output, makes of each column, in autograd's own operations."""
    for layer in network:
        if isinstance(layer, nn.Linear):
            x = torch.addmm(layer.bias[:, None], layer.weight, x)
        elif isinstance(layer, nn.PReLU):
            x = functional.prelu(x, layer.weight)
    return x[0]


@torch.no_grad()
def answers_in_pieces(
    network: nn.Sequential, pieces: Iterable[Sequence[Float[Tensor, " piece"]]], out: Float[Tensor, " columns"]
) -> None:
    """Write the same into ``out``, for at most `COLUMNS` columns at a time.

    Args:
        network: the perceptron.
        pieces: what it sees of some columns, of the next ones, and so on.
        out: takes up the answers.
    """
    layers = [layer for layer in network if isinstance(layer, nn.Linear)]
    slopes = [layer.weight.item() for layer in network if isinstance(layer, nn.PReLU)]
    weights = [(layer.bias[:, None], layer.weight) for layer in layers]
    rooms = [out.new_empty((layer.in_features, min(COLUMNS, len(out)))) for layer in layers]
    first = 0
    for seen in pieces:
        count = len(seen[0])
        inputs = [room[:, :count] for room in rooms]
        torch.stack(tuple(seen), out=inputs[0])
        for pair, slope, x, y in zip(weights, slopes, inputs, inputs[1:], strict=False):
            functional.leaky_relu_(torch.addmm(*pair, x, out=y), slope)
        torch.addmm(*weights[-1], inputs[-1], out=out[None, first : first + count])
        first += count


def cut(rows: Sequence[Float[Tensor, " columns"]]) -> Iterator[list[Float[Tensor, " piece"]]]:
    """Return pieces of several rows of the same length."""
    for first in range(0, len(rows[0]), COLUMNS):
        yield [row[first : first + COLUMNS] for row in rows]


def gathered(pairs: Sequence[tuple[Tensor, Tensor]]) -> Iterator[list[Float[Tensor, " piece"]]]:
    """Return pieces of pairs of tensors of any shapes: large ones are cut, and small ones joined.

    A vector of all entries would be new memory at each update, and that costs more than to compute on it.
    """
    waiting: list[tuple[Tensor, Tensor]] = []
    size = 0
    for z, gradient in pairs:
        if size + z.numel() > COLUMNS and waiting:
            yield [torch.cat(row) for row in zip(*waiting, strict=True)]
            waiting, size = [], 0
        flat = z.reshape(-1), gradient.reshape(-1)
        if z.numel() > COLUMNS:
            yield from cut(flat)
        else:
            waiting.append(flat)
            size += z.numel()
    if waiting:
        yield [torch.cat(row) for row in zip(*waiting, strict=True)]
