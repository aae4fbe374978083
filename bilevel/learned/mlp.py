"""The perceptron rule: one dense network that sees the whole answer at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from bilevel.learned.base import LearnedRule
from bilevel.learned.inputs import Direction, Input, Iterate
from bilevel.learned.perceptron_columns import answers, answers_in_pieces, cut, gathered, in_pieces, takes_columns
from bilevel.rules.protocol import State
from bilevel.tree import Tree, leaves, replace_leaves
from bilevel.vector import join, split


@final
class MLP(LearnedRule):
    r"""Let a perceptron read all coordinates together and write the update.

    $$u = W_3 \, \sigma(W_2 \, \sigma(W_1 [z, -\nabla_z \ell(z)] + b_1) + b_2) + b_3$$

    with PReLUs $\sigma$, one slope each. The skip layer of the source, which adds the output to $z$, is what
    the rules' protocol does anyway. The answer is a batch whose samples hold ``size`` numbers, or a tree
    that holds ``size`` numbers in all; either becomes rows of length ``size``, and a sample is a row to the
    inputs as well. ``size=1`` treats every coordinate alone.

    Args:
        size: how many numbers $m$ the network reads and writes at once.
        hidden: units of the hidden layers; ``None`` is (8m, 4m). Mind that the default has 52 m^2 + 13 m + 2
            parameters.
        inputs: what the network sees, concatenated in this order.
        zero_last: whether the last layer starts at zero, so that the first update is zero.

    Raises:
        ConfigurationError: if ``size`` or a hidden layer is not positive.

    Source: Jiang et al., ICLR 2020 submission, appendix C (the update of GAIL's discriminator).

    Examples:
        >>> rule = MLP(size=3)
        >>> z = torch.rand(3)
        >>> rule.update(torch.ones(3), rule.init(z), params=z)[0].shape
        torch.Size([3])
    """

    def __init__(
        self,
        size: int,
        hidden: Sequence[int] | None = None,
        *,
        inputs: Sequence[Input] = (Iterate(), Direction()),
        zero_last: bool = False,
    ) -> None:
        super().__init__(inputs)
        widths = (8 * size, 4 * size) if hidden is None else tuple(hidden)
        if size < 1 or min(widths, default=1) < 1:
            raise ConfigurationError(f"MLP's size is {size} and its hidden layers are {widths}; all must be positive")
        self.size = size
        self.hidden = widths
        layers: list[nn.Module] = []
        for before, after in pairwise((size * self.planes, *widths)):
            layers += [nn.Linear(before, after), nn.PReLU()]
        last = nn.Linear(widths[-1] if widths else size * self.planes, size)
        if zero_last:
            for parameter in last.parameters():
                nn.init.zeros_(parameter)
        self.network = nn.Sequential(*layers, last)

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"size": self.size, "hidden": self.hidden, "inputs": self.inputs}

    def init(self, params: Tree) -> State:
        """Return the memories of the inputs, on rows."""
        return self._remember(self._rows(leaves(params)))

    def update(
        self,
        grads: Tree,
        state: State,
        *,
        params: Tree | None = None,
        inplace: bool = False,
    ) -> tuple[Tree, State]:
        """Return the network's updates and the next memories.

        Raises:
            ConfigurationError: if ``params`` is missing or does not fall into rows of length ``size``.
        """
        pairs = self._pairs(params, grads)
        iterates = [z for z, _ in pairs]
        if self.size == 1 and takes_columns(self.network):
            out, after = self._by_columns(pairs, state)
        else:
            planes, after = self._read(self._rows(iterates), self._rows([g for _, g in pairs]), state)
            out = self.network(torch.cat(planes, dim=1)).reshape(-1)
        return replace_leaves(grads, split(out, iterates)), after

    def _by_columns(self, pairs: list[tuple[Tensor, Tensor]], state: State) -> tuple[Tensor, State]:
        """Return the updates of coordinates that are treated alone, and the next memories."""
        iterates, gradients = [z for z, _ in pairs], [g for _, g in pairs]
        pieces = in_pieces(self.network, [*iterates, *gradients])
        if pieces and all(one.by_rows for one in self.inputs):
            out = iterates[0].new_empty(sum(z.numel() for z in iterates))
            parts = (self._read(z[:, None], g[:, None], state)[0] for z, g in gathered(pairs))
            answers_in_pieces(self.network, ([plane[:, 0] for plane in planes] for planes in parts), out)
            return out, state
        planes, after = self._read(self._rows(iterates), self._rows(gradients), state)
        rows = [plane.reshape(-1) for plane in planes]
        if not pieces or any(row.requires_grad for row in rows):
            return answers(self.network, torch.stack(rows)), after
        out = torch.empty_like(rows[0])
        answers_in_pieces(self.network, cut(rows), out)
        return out, after

    def _rows(self, tensors: list[Tensor]) -> Float[Tensor, "rows size"]:
        """Return the tensors as rows, none of which straddles two samples."""
        # The ways to count a tensor's samples: by its leading 0, 1, 2, ... dimensions.
        batches = self.size == 1 or all(
            any(z.shape[k:].numel() == self.size for k in range(z.ndim + 1)) for z in tensors
        )
        if not tensors or not (batches or sum(z.numel() for z in tensors) == self.size):
            raise ConfigurationError(
                f"MLP got z of shapes {[tuple(z.shape) for z in tensors]}; it needs {self.size} numbers a sample "
                f"or {self.size} in all: build it as MLP(size=...) with the number of entries of a sample"
            )
        return join(tensors).reshape(-1, self.size)
