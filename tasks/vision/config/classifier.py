"""The classifier."""

from __future__ import annotations

from dataclasses import dataclass

from bilevel.errors import ConfigurationError
from tasks.names import look_up
from tasks.vision import tables
from tasks.vision.config.group import SettingsGroup


@dataclass(frozen=True)
class ClassifierSettings(SettingsGroup):
    """The network that classifies."""

    model: str = "small"
    """The classifier: small (three convolutions) or wide-resnet."""

    width: int | None = None
    """Channels of the first layers of small (by default 32), or the widening factor of wide-resnet (by default 10)."""

    depth: int = 34
    """Depth of wide-resnet, 6n + 4."""

    dropout: float = 0.0
    """Share of the features that wide-resnet drops inside a block while it learns, in [0, 1)."""

    def check(self) -> None:
        """Raise `ConfigurationError` for an unknown name or a number out of range."""
        look_up(tables.MODELS, self.model, "model")
        self.check_positive("width")
        self.check_share("dropout")
        if self.model == "wide-resnet" and (self.depth < 10 or (self.depth - 4) % 6):
            raise ConfigurationError(
                f"depth of wide-resnet must be 10, 16, 22, 28, 34, ... (6n + 4), got {self.depth}."
            )
