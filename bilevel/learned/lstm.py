"""The coordinate-wise recurrent rule: an optimizer for any number of parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, TypeAlias, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from bilevel.learned.base import LearnedRule
from bilevel.learned.inputs import Direction, Input
from bilevel.learned.lstm_columns import Inputs, advance, saturated_gates
from bilevel.learned.lstm_layer import pack
from bilevel.learned.preprocess import LogSign
from bilevel.rules.protocol import State
from bilevel.tree import Tree, leaves, replace_leaves
from bilevel.vector import split

SAMPLE: Final = 1024
"""How many coordinates `LSTM.saturation` looks at, at most."""

Cells: TypeAlias = tuple[tuple[Tensor, Tensor], ...]
"""h and c of each layer, one row a coordinate."""


@final
class LSTM(LearnedRule):
    r"""Let one small LSTM, shared by all coordinates, keep a state a coordinate and write its update.

    $$(o_i, s_i) \leftarrow \mathrm{LSTM}_\phi(\text{inputs}_i, s_i), \qquad u_i = a \, (w^\top o_i + b)$$

    All coordinates of all tensors go through the cells in one batch; how that is made fast on a CPU is told in
    `bilevel.learned.lstm_columns`. A state carries the graph of the updates before it, for back-propagation through
    time; whoever ends a window detaches it. The graph keeps nothing of an update but the state before it.

    Args:
        hidden: units of a layer.
        layers: how many layers.
        inputs: what each coordinate sees. An input that scales by the sample (`SampleRMS`) or the batch
            (`BatchMax`) is computed tensor by tensor.
        scale: the factor $a$ of the output. The papers' equations have none (Serban et al. take the LSTM's
            output itself as the update, Eq. 3); the public code of both sources uses 0.01, which keeps a
            rule without training from running away, and so does the default.
        zero_last: whether w and b start at zero, so that the first updates are zero.

    Raises:
        ConfigurationError: if ``hidden`` or ``layers`` is not positive, or ``scale`` is 0 or not finite.

    Source: Andrychowicz et al. 2016; Serban et al. 2020, Eq. 3-5 (two layers of 20, LogSign with p = 10).

    Examples:
        >>> rule = LSTM()
        >>> z = {"weight": torch.rand(3, 2), "bias": torch.rand(3)}
        >>> rule.update(z, rule.init(z), params=z)[0]["bias"].shape
        torch.Size([3])
    """

    def __init__(
        self,
        hidden: int = 20,
        layers: int = 2,
        *,
        inputs: Sequence[Input] = (Direction(LogSign(10.0)),),
        scale: float = 0.01,
        zero_last: bool = False,
    ) -> None:
        super().__init__(inputs)
        if hidden < 1 or layers < 1:
            raise ConfigurationError(f"LSTM got hidden={hidden} and layers={layers}; both must be at least 1")
        if not math.isfinite(scale) or scale == 0:
            raise ConfigurationError(f"LSTM's scale is {scale}; it must be finite and not 0")
        self.hidden = hidden
        self.scale = scale
        # Cells rather than nn.LSTM on sequences of length 1: they take less time forward and backward together,
        # and can be differentiated twice on every device.
        self.cells = nn.ModuleList(nn.LSTMCell(hidden if i else self.planes, hidden) for i in range(layers))
        self.output = nn.Linear(hidden, 1)
        if zero_last:
            for parameter in self.output.parameters():
                nn.init.zeros_(parameter)

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"hidden": self.hidden, "layers": len(self.cells), "inputs": self.inputs, "scale": self.scale}

    def init(self, params: Tree) -> State:
        """Return the memories of the inputs, one tuple a tensor, and zeros for each layer's state."""
        tensors = leaves(params)
        if not tensors:
            raise ConfigurationError("LSTM got a z without tensors")
        # As columns in memory, which is how a CPU works on them.
        zeros = tensors[0].new_zeros((self.hidden, sum(z.numel() for z in tensors))).t()
        return {
            "inputs": tuple(self._remember(z) for z in tensors),
            "cells": tuple((zeros.clone(), zeros.clone()) for _ in self.cells),
        }

    def update(
        self,
        grads: Tree,
        state: State,
        *,
        params: Tree | None = None,
        inplace: bool = False,
    ) -> tuple[Tree, State]:
        """Return the updates and the next state.

        Raises:
            ConfigurationError: if ``params`` is missing, or the state belongs to another number of coordinates.
        """
        pairs = self._pairs(params, grads)
        seen, after = self._seen(pairs, state)
        if _columns_are_faster(seen):
            u, cells = self._by_columns(seen, state["cells"], inplace=inplace and not torch.is_grad_enabled())
        else:
            u, cells = self._by_rows(seen, state["cells"])
        updates = split(u, [z for z, _ in pairs])
        return replace_leaves(grads, updates), {"inputs": after, "cells": cells}

    def saturation(self, grads: Tree, state: State, *, params: Tree) -> dict[str, Tensor]:
        """Return the shares of saturated inputs and of saturated gates, the latter of a sample of the coordinates."""
        seen, _ = self._seen(self._pairs(params, grads), state)
        every = -(-seen.shape[1] // SAMPLE)
        share = saturated_gates(self._inputs(seen, state["cells"], every))
        return super().saturation(grads, state, params=params) | {"saturated_gates": share}

    def _seen(self, pairs: list[tuple[Tensor, Tensor]], state: State) -> tuple[Float[Tensor, "planes n"], State]:
        """Return what the inputs show, one row a plane, whose columns are all coordinates; and the next memories."""
        planes: list[list[Tensor]] = []
        after: list[State] = []
        for (z, gradient), memories in zip(pairs, state["inputs"], strict=True):
            read, kept = self._read(z, gradient, memories)
            planes.append([plane.reshape(-1) for plane in read])
            after.append(kept)
        seen = torch.cat([one for row in zip(*planes, strict=True) for one in row]).reshape(self.planes, -1)
        if seen.shape[1] != len(state["cells"][0][0]):
            raise ConfigurationError(
                f"LSTM got {seen.shape[1]} coordinates and a state of {len(state['cells'][0][0])}: "
                "call init for a z of another shape"
            )
        return seen, tuple(after)

    def _inputs(self, seen: Float[Tensor, "planes n"], cells: Cells, every: int = 1) -> Inputs:
        """Return what an update of every n-th coordinate is made of."""
        weight, bias = self.scale * self.output.weight, self.scale * self.output.bias[:, None]
        layers = tuple(pack(cell) for cell in self.cells if isinstance(cell, nn.LSTMCell))
        states = tuple((h.t()[:, ::every], c.t()[:, ::every]) for h, c in cells)
        return Inputs(seen[:, ::every], states, layers, (weight, bias))

    def _by_columns(self, seen: Float[Tensor, "planes n"], cells: Cells, *, inplace: bool) -> tuple[Tensor, Cells]:
        u, after = advance(self._inputs(seen, cells), inplace=inplace)
        return u[0], tuple((h.t(), c.t()) for h, c in after)

    def _by_rows(self, seen: Float[Tensor, "planes n"], cells: Cells) -> tuple[Tensor, Cells]:
        out, after = seen.t().contiguous(), []
        for cell, (h, c) in zip(self.cells, cells, strict=True):
            after.append(cell(out, (h.contiguous(), c.contiguous())))
            out = after[-1][0]
        return self.scale * self.output(out).reshape(-1), tuple(after)


def _columns_are_faster(seen: Tensor) -> bool:
    """Whether the layers are worked on column by column: on a CPU, but for what only autograd's operations can do."""
    plain = not torch.is_autocast_enabled("cpu") and not torch._C._are_functorch_transforms_active()  # noqa: SLF001
    return plain and seen.device.type == "cpu" and seen.dtype in (torch.float32, torch.float64)
