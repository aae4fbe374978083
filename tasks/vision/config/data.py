"""What is learned from."""

from __future__ import annotations

from dataclasses import dataclass

from bilevel.errors import ConfigurationError
from tasks.names import look_up
from tasks.vision.config.group import SettingsGroup
from tasks.vision.datasets import DATASETS


@dataclass(frozen=True)
class DataSettings(SettingsGroup):
    """The data set and the seed of its split."""

    data: str = "digits"
    """The data set: digits."""

    seed: int = 0
    """What the split of the data, the first weights, the order of the images and the random starts depend on."""

    def check(self) -> None:
        """Raise `ConfigurationError` for an unknown name or a number out of range."""
        look_up(DATASETS, self.data, "data set")
        if not 0 <= self.seed < 2**63:
            raise ConfigurationError(f"seed must be at least 0 and below 2**63, got {self.seed}.")
