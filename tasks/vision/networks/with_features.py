"""The last feature of a network that was not made here."""

from __future__ import annotations

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from bilevel.errors import ConfigurationError
from tasks.vision.networks.classifier import Classifier


@final
class WithFeatures(Classifier):
    """Another network as a `Classifier`: the embedding is what enters its last linear layer.

    The network is used as it is and keeps its own parameters, so that ``model`` and this share them. What enters the
    layer must be of shape (n, d), and what leaves it must be the network's logits.

    Args:
        model: the network; ``model(x)`` returns logits (n, classes).
        layer: the name of the linear layer in it, as ``model.named_modules()`` gives it, such as ``fc``.

    Raises:
        ConfigurationError: if ``model`` has no linear layer of that name.
    """

    def __init__(self, model: nn.Module, layer: str = "fc") -> None:
        super().__init__()
        linear = {name: part for name, part in model.named_modules() if isinstance(part, nn.Linear)}
        if layer not in linear:
            raise ConfigurationError(
                f"{type(model).__name__} has no linear layer {layer!r}; it has: {', '.join(linear) or 'none'}."
            )
        self.model = model
        self.layer = layer

    @property
    def classify(self) -> nn.Linear:  # type: ignore[override]  # a submodule of that name would be saved twice
        """The linear layer."""
        found = self.model.get_submodule(self.layer)
        assert isinstance(found, nn.Linear)
        return found

    def embed(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Return what enters the linear layer.

        Raises:
            ConfigurationError: if no image passes through the layer.
        """
        seen: list[Tensor] = []
        with self.classify.register_forward_pre_hook(lambda _layer, entered: seen.append(entered[0])):
            self.model(x)
        if not seen:
            raise ConfigurationError(
                f"No image passes through the layer {self.layer!r} of {type(self.model).__name__}: name the last one."
            )
        return seen[-1]

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Return the network's logits."""
        logits: Tensor = self.model(x)
        return logits
