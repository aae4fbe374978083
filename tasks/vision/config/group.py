"""A group of settings: the interface."""

from __future__ import annotations

import abc

from bilevel.errors import ConfigurationError


class SettingsGroup(abc.ABC):
    """Settings that belong together; a configuration is a frozen dataclass of several groups.

    The fields of all groups are one configuration's flags, so that no name may occur twice.
    """

    @abc.abstractmethod
    def check(self) -> None:
        """Raise `ConfigurationError` for a value out of range or an unknown name, listing the known ones."""

    def check_positive(self, *names: str) -> None:
        """Raise `ConfigurationError` unless the settings ``names`` are above 0, or ``None``."""
        for name in names:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigurationError(f"{name} must be above 0, got {value}.")

    def check_not_negative(self, *names: str) -> None:
        """Raise `ConfigurationError` unless the settings ``names`` are at least 0, or ``None``."""
        for name in names:
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ConfigurationError(f"{name} must be at least 0, got {value}.")

    def check_share(self, *names: str) -> None:
        """Raise `ConfigurationError` unless the settings ``names`` are in [0, 1), or ``None``."""
        for name in names:
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise ConfigurationError(f"{name} must be in [0, 1), got {value}.")


def check_groups(config: SettingsGroup) -> None:
    """Let each group that ``config`` is made of check its own settings."""
    for group in type(config).__mro__:
        if issubclass(group, SettingsGroup) and group is not SettingsGroup and "check" in vars(group):
            group.check(config)
