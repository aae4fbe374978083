"""The convolutional rule: a learned attacker of images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from bilevel.learned.base import LearnedRule
from bilevel.learned.inputs import GRAD, Input
from bilevel.rules.protocol import State
from bilevel.tree import Tree, leaves, replace_leaves


@final
class Convolutional(LearnedRule):
    r"""Let a convolutional network read the image and its gradient and write the update.

    $$u = s \tanh(\mathrm{network}_\phi([\text{inputs}]))$$

    A tree of several tensors is a tree of batches of images, and the network visits them one by one.

    Args:
        channels: channels of an image.
        network: what builds the network, called as ``network(in_channels, out_channels)``: `Small`, `Wide`,
            `Slim`, or a module's class. It must keep height and width.
        scale: the largest change $s$ of a pixel in one update, in the units of $z$; positive.
        inputs: what the network sees, concatenated along the channels in this order: `NAIVE`, `GRAD`,
            `GRAD_ONLY`, or any other tuple.
        output: what comes after the network and before the scale; with the default no pixel changes by more
            than ``scale``.

    Raises:
        ConfigurationError: if ``channels`` or ``scale`` is not positive, or ``network`` is a finished module.

    Source: Jiang et al. 2021, Eq. 7 and section 3.

    Examples:
        >>> rule = Convolutional(channels=1, network=Small(width=16), scale=0.2)
        >>> images = torch.rand(5, 1, 8, 8)
        >>> rule.update(torch.ones_like(images), rule.init(images), params=images)[0].shape
        torch.Size([5, 1, 8, 8])
    """

    def __init__(
        self,
        channels: int,
        network: Callable[[int, int], nn.Module],
        *,
        scale: float,
        inputs: Sequence[Input] = GRAD,
        output: Callable[[Tensor], Tensor] = torch.tanh,
    ) -> None:
        super().__init__(inputs)
        if channels < 1:
            raise ConfigurationError(f"Convolutional's channels are {channels}; an image has at least 1")
        if not (math.isfinite(scale) and scale > 0):
            raise ConfigurationError(f"Convolutional's scale is {scale}; it must be positive and finite")
        if isinstance(network, nn.Module):
            raise ConfigurationError(
                "Convolutional builds its network itself, because the number of input channels follows from the "
                f"inputs: give a builder such as Small(width=16) or a class, not the {type(network).__name__}"
            )
        self.channels = channels
        self.scale = scale
        self.output = output
        self.builder = network
        self.network = network(channels * self.planes, channels)

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            "channels": self.channels,
            "network": self.builder,
            "scale": self.scale,
            "inputs": self.inputs,
            "output": self.output,
        }

    def init(self, params: Tree) -> State:
        """Return the memories of the inputs, one tuple a tensor of ``params``."""
        return tuple(self._remember(z) for z in leaves(params))

    def update(
        self,
        grads: Tree,
        state: State,
        *,
        params: Tree | None = None,
        inplace: bool = False,
    ) -> tuple[Tree, State]:
        """Return the network's updates, at most ``scale`` a pixel, and the next memories.

        Raises:
            ConfigurationError: if ``params`` is missing or no batch of images with ``channels`` channels.
        """
        updates: list[Tensor] = []
        after: list[State] = []
        for (z, gradient), memories in zip(self._pairs(params, grads), state, strict=True):
            if z.ndim != 4 or z.shape[1] != self.channels:
                raise ConfigurationError(
                    f"Convolutional got z of shape {tuple(z.shape)}; "
                    f"it needs images (n, c, h, w) with c = {self.channels}"
                )
            planes, kept = self._read(z, gradient, memories)
            out = self.network(torch.cat(planes, dim=1))
            if out.shape != z.shape:
                raise ConfigurationError(
                    f"Convolutional's network made {tuple(out.shape)} of images {tuple(z.shape)}; "
                    "it must keep height and width"
                )
            updates.append((self.scale * self.output(out)).to(z.dtype))
            after.append(kept)
        return replace_leaves(grads, updates), tuple(after)
