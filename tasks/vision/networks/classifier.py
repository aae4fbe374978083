"""A classifier of images whose last feature can be seen: the interface."""

from __future__ import annotations

import abc

from jaxtyping import Float
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from tasks.vision.networks.normalise import Normalise


class Classifier(nn.Module, abc.ABC):
    r"""A network in two parts, $f(x) = c(e(x))$: an embedding e of the images and a linear classification c.

    What adversarial interpolation moves images by is $e(x)$, the last pooled feature (Zhang and Xu 2020).

    Args:
        normalise: what the images go through first, if anything.
    """

    classify: nn.Linear
    """c: from features (n, d) to logits (n, classes). A subclass sets it."""

    def __init__(self, normalise: Normalise | None = None) -> None:
        super().__init__()
        self.normalise: nn.Module = normalise or nn.Identity()

    @abc.abstractmethod
    def embed(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Return the last pooled features of images with values in [0, 1]."""

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Return the logits of images with values in [0, 1]."""
        logits: Tensor = self.classify(self.embed(x))
        return logits


def check_sizes(network: str, **sizes: int) -> None:
    """Raise `ConfigurationError` unless all ``sizes`` of a network, such as its channels, are at least 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ConfigurationError(f"{network}: {name} must be at least 1, got {size}.")
