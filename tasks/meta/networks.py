"""The networks whose training is learned: small enough that a rule can look at each of their weights."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from tasks.names import look_up
from tasks.vision.networks import Classifier
from tasks.vision.networks.classifier import check_sizes

ACTIVATIONS: Final[dict[str, Callable[[], nn.Module]]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "elu": nn.ELU,
}
"""The units by name."""


@final
class Perceptron(Classifier):
    """Linear layers with units between them; without hidden layers, logistic regression.

    Args:
        inputs: numbers an image.
        classes: number of classes.
        hidden: units of each hidden layer.
        activation: the units, a name of `ACTIVATIONS`.

    Raises:
        ConfigurationError: for a number below 1 or an unknown name, listing the known ones.

    Source: Serban et al. 2020, section 4.1, with one hidden layer of 20 ReLU units.
    """

    def __init__(self, inputs: int, classes: int = 10, *, hidden: tuple[int, ...] = (20,), activation: str = "relu"):
        super().__init__()
        check_sizes("Perceptron", inputs=inputs, classes=classes)
        if any(units < 1 for units in hidden):
            raise ConfigurationError(f"Perceptron: hidden layers have at least 1 unit, got {list(hidden)}.")
        unit = look_up(ACTIVATIONS, activation, "activation")
        layers = [layer for sizes in itertools.pairwise((inputs, *hidden)) for layer in (nn.Linear(*sizes), unit())]
        self.features = nn.Sequential(*layers)
        self.classify = nn.Linear(hidden[-1] if hidden else inputs, classes)

    def embed(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Return the last hidden layer."""
        features: Tensor = self.features(torch.flatten(x, 1))
        return features


@final
class ThreeConvolutions(Classifier):
    """Three 3 x 3 convolutions of stride 2 with batch norm, a hidden linear layer, and the logits.

    Batch norm goes by the batch at hand, in training and in evaluation, so that the network is its weights and nothing
    else. The paper says neither channels nor strides nor pooling; these are our choice.

    Args:
        channels: channels of an image.
        classes: number of classes.
        size: the side of an image in pixels, at least 8.
        width: channels of the convolutions.
        hidden: units of the hidden layer.
        activation: the units, a name of `ACTIVATIONS`.

    Raises:
        ConfigurationError: for a number out of range or an unknown name.

    Source: Serban et al. 2020, section 4.2.
    """

    def __init__(
        self,
        channels: int = 3,
        classes: int = 10,
        *,
        size: int = 32,
        width: int = 16,
        hidden: int = 32,
        activation: str = "relu",
    ):
        super().__init__()
        check_sizes("ThreeConvolutions", channels=channels, classes=classes, width=width, hidden=hidden)
        if size < 8:
            raise ConfigurationError(f"ThreeConvolutions needs images of 8 x 8 at least, got {size} x {size}.")
        unit = look_up(ACTIVATIONS, activation, "activation")
        layers: list[nn.Module] = []
        for before in (channels, width, width):
            layers += [
                nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width, track_running_stats=False),
                unit(),
            ]
        self.convolutions = nn.Sequential(*layers)
        side = (((size + 1) // 2 + 1) // 2 + 1) // 2
        self.linear = nn.Sequential(nn.Linear(width * side * side, hidden), unit())
        self.classify = nn.Linear(hidden, classes)

    def embed(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Return the hidden layer."""
        features: Tensor = self.linear(torch.flatten(self.convolutions(x), 1))
        return features
