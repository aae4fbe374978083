"""The classifier."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.names import look_up
from tasks.vision import tables
from tasks.vision.config.group import SettingsGroup


@dataclass(frozen=True)
class ClassifierSettings(SettingsGroup):
    """The network that classifies."""

    model: str = "small"
    """The classifier: small (three convolutions), mnist (four convolutions and three linear layers, for images of
    16 x 16 at least), wide-resnet, resnet or preact-resnet."""

    width: int | None = None
    """Channels of the first layers (by default 32 of small and mnist, 64 of resnet and preact-resnet), or the widening
    factor of wide-resnet (by default 10)."""

    depth: int | None = None
    """Depth of wide-resnet (6n + 4, by default 34), of resnet (18, 34, 50, 101 or 152, by default 18) or of
    preact-resnet (18 or 34, by default 18)."""

    dropout: float = 0.0
    """Share of the features that wide-resnet drops inside a block while it learns, in [0, 1)."""

    normalise: bool = False
    """Whether the network first shifts and scales each channel by its mean and standard deviation: the usual numbers of
    mnist, cifar10, cifar100 and svhn, else those of the training images. Attacks see images in [0, 1] all the same."""

    def check(self) -> None:
        """Raise `ConfigurationError` for an unknown name or a number out of range."""
        look_up(tables.MODELS, self.model, "model")
        self.check_positive("width", "depth")
        self.check_share("dropout")
        if self.depth is not None and self.model in tables.DEPTHS:
            tables.DEPTHS[self.model](self.depth)
