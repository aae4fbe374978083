r"""LSTM layers and a linear output for very many coordinates, with one column a coordinate.

$$(h'_l, c'_l) = \mathrm{LSTM}_l(h'_{l-1}, h_l, c_l), \qquad h'_0 = x, \qquad u = w^\top h'_L + b$$

What costs time here is memory, not arithmetic. So all layers are worked on for some columns before the next ones, which
keeps everything between two states in the processor's cache. Nothing but the states is kept for the derivative: the
backward pass computes the gates of its columns again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from bilevel.learned.lstm_layer import Layer, Weights

FORWARD_COLUMNS: Final = 4096
BACKWARD_COLUMNS: Final = 2048
"""How many columns are worked on at a time; the buffers of two layers of 20 take 4 MB and 3 MB then."""

Columns: TypeAlias = Float[Tensor, "_ columns"]


class Inputs(NamedTuple):
    """All tensors that one update is made of, as a flat list and back.

    Attributes:
        seen: what the first layer sees.
        states: h and c of each layer.
        layers: W and b of each layer.
        output: w, and the bias of the output.
    """

    seen: Columns
    states: tuple[tuple[Columns, Columns], ...]
    layers: tuple[Weights, ...]
    output: tuple[Float[Tensor, "1 hidden"], Float[Tensor, "1 1"]]

    @property
    def flat(self) -> list[Tensor]:
        """All of them, one after the other."""
        return [self.seen, *(t for pair in (*self.states, *self.layers, self.output) for t in pair)]

    @classmethod
    def of(cls, flat: Sequence[Tensor]) -> Inputs:
        """Return the inputs that were flattened."""
        seen, *rest = flat
        pairs = [(rest[i], rest[i + 1]) for i in range(0, len(rest), 2)]
        n = (len(pairs) - 1) // 2
        return cls(seen, tuple(pairs[:n]), tuple(Weights(*pair) for pair in pairs[n:-1]), pairs[-1])


def advance(inputs: Inputs, *, inplace: bool = False) -> tuple[Columns, tuple[tuple[Columns, Columns], ...]]:
    """Return u and the next states.

    Args:
        inputs: the state, what is seen, and the weights.
        inplace: whether the next states may take the place of those in ``inputs``; only without a graph.
    """
    if torch.is_grad_enabled() and any(t.requires_grad for t in inputs.flat):
        u, *states = _Advance.apply(*inputs.flat)  # type: ignore[no-untyped-call]
        return u, tuple(zip(states[::2], states[1::2], strict=True))
    after = inputs.states if inplace else _room(inputs.states)
    return _forward(inputs, after), after


def differentiable(inputs: Inputs) -> tuple[Columns, tuple[tuple[Columns, Columns], ...]]:
    """Return the same in autograd's own operations, which can be differentiated as often as one likes."""
    below, after = inputs.seen, []
    for layer, (h, c) in zip(inputs.layers, inputs.states, strict=True):
        gates = torch.addmm(layer.bias, layer.matrix, torch.cat([below, h])).sigmoid()
        i, f, g, o = gates.chunk(4)
        c_after = torch.addcmul(c * f, i, 1 - 2 * g)
        below = o * (1 - 2 * torch.sigmoid(-2 * c_after))
        after.append((below, c_after))
    return torch.addmm(inputs.output[1], inputs.output[0], below), tuple(after)


@torch.no_grad()
def saturated_gates(inputs: Inputs) -> Float[Tensor, ""]:
    """Return the share of all gates, of every layer, that are within a hundredth of an end of their range."""
    below, shares = inputs.seen, []
    for weights, (h, c) in zip(inputs.layers, inputs.states, strict=True):
        layer = Layer(weights, below.shape[1])
        layer.forward(below, h, c, *layer.after(slice(0, below.shape[1])))
        shares.append(((2 * layer.gates - 1).abs() > 0.98).to(below.dtype).mean())
        below = layer.after(slice(0, below.shape[1]))[0]
    return torch.stack(shares).mean()


def _forward(inputs: Inputs, after: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Return u, and write the next states into ``after``."""
    count = inputs.seen.shape[1]
    width = min(FORWARD_COLUMNS, count)
    layers = [Layer(weights, width) for weights in inputs.layers]
    u = inputs.seen.new_empty((1, count))
    for first in range(0, count, width):
        at = slice(first, min(first + width, count))
        below = inputs.seen[:, at]
        for layer, (h, c), (h_after, c_after) in zip(layers, inputs.states, after, strict=True):
            layer.forward(below, h[:, at], c[:, at], h_after[:, at], c_after[:, at])
            below = h_after[:, at]
        torch.addmm(inputs.output[1], inputs.output[0], below, out=u[:, at])
    return u


def _backward(inputs: Inputs, cotangents: Sequence[Tensor | None], *, seen_too: bool) -> list[Tensor | None]:
    """Return the cotangents of all ``inputs``, from those of u and of the next states."""
    count, (du, *ends) = inputs.seen.shape[1], cotangents
    width = min(BACKWARD_COLUMNS, count)
    layers = [Layer(weights, width) for weights in inputs.layers]
    found = Inputs(
        torch.empty_like(inputs.seen),
        _room(inputs.states),
        tuple(Weights(*map(torch.zeros_like, weights)) for weights in inputs.layers),
        (torch.zeros_like(inputs.output[0]), torch.zeros_like(inputs.output[1])),
    )
    for first in range(0, count, width):
        at = slice(first, min(first + width, count))
        below = inputs.seen[:, at]
        for layer, (h, c) in zip(layers, inputs.states, strict=True):
            layer.forward(below, h[:, at], c[:, at], *layer.after(at))
            below = layer.after(at)[0]
        slope = torch.zeros_like(below)
        if du is not None:
            torch.mm(inputs.output[0].t(), du[:, at], out=slope)
            found.output[0].addmm_(du[:, at], below.t())
            found.output[1].add_(du[:, at].sum())
        for number in reversed(range(len(layers))):
            dh, dc = (None if end is None else end[:, at] for end in ends[2 * number : 2 * number + 2])
            if dh is not None:
                slope = slope + dh
            c, (h_found, c_found) = inputs.states[number][1], found.states[number]
            both = layers[number].backward(slope, dc, c[:, at], found.layers[number], c_found[:, at])
            slope, h_found[:, at] = both[: -len(h_found)], both[-len(h_found) :]
        if seen_too:
            found.seen[:, at] = slope
    return [found.seen if seen_too else None, *found.flat[1:]]


def _room(states: Sequence[tuple[Tensor, Tensor]]) -> tuple[tuple[Tensor, Tensor], ...]:
    """Return tensors of the shapes of ``states``, each row in one piece."""
    return tuple((h.new_empty(h.shape), c.new_empty(c.shape)) for h, c in states)


class _Advance(torch.autograd.Function):
    """One update of all columns, whose derivative needs nothing that is not there anyway."""

    @staticmethod
    def forward(ctx: Any, *flat: Tensor) -> tuple[Tensor, ...]:
        """Return u, and h and c of each layer."""
        ctx.save_for_backward(*flat)
        ctx.set_materialize_grads(False)
        inputs = Inputs.of(flat)
        after = _room(inputs.states)
        return _forward(inputs, after), *(t for pair in after for t in pair)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> Any:
        """Return the cotangents of the inputs, with their graph if it was asked for."""
        flat = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return tuple(_backward(Inputs.of(flat), cotangents, seen_too=ctx.needs_input_grad[0]))
        # Other tensors of the same values: one of the inputs may depend on another, which is not what is asked.
        flat = [t.view_as(t) for t in flat]
        u, after = differentiable(Inputs.of(flat))
        outputs = [u, *(t for pair in after for t in pair)]
        there = [(t, d) for t, d in zip(outputs, cotangents, strict=True) if d is not None]
        ends, weights = zip(*there, strict=True)
        asked = [t for t, needed in zip(flat, ctx.needs_input_grad, strict=True) if needed]
        found = iter(torch.autograd.grad(ends, asked, weights, create_graph=True, allow_unused=True))
        return tuple(next(found) if needed else None for needed in ctx.needs_input_grad)
