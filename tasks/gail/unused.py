"""Settings that do nothing with the method, the updater or the algorithm that was chosen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from bilevel.errors import ConfigurationError

if TYPE_CHECKING:
    from tasks.gail.config import GAILConfig

_MOVED: Final = ("gail", "l2l", "base")
_METHODS: Final[dict[str, tuple[str, ...]]] = {
    "updater": _MOVED,
    "updater_rate": ("gail", "l2l"),
    "updater_step": ("l2l", "base"),
    "updater_limit": ("l2l",),
    "updater_hidden": ("l2l",),
    "updater_rank": ("l2l",),
    "updater_bound": _MOVED,
    "proximal": ("l2l",),
    "fresh": _MOVED,
    "discriminator_steps": _MOVED,
    "unroll": _MOVED,
    "hidden": _MOVED,
    "entropy_bonus": _MOVED,
    "gradient_penalty": _MOVED,
    "spectral_norm": _MOVED,
    "normalise": _MOVED,
}
_CORRECTED: Final = ("coordinate-wise", "lstm", "per-layer", "low-rank", "paper", "paper-factored")
_UPDATERS: Final[dict[str, tuple[str, ...]]] = {
    "updater_step": _CORRECTED,
    "updater_limit": _CORRECTED,
    "updater_rank": ("low-rank",),
    "proximal": (*_CORRECTED, "paper-proximal"),
}
_ALGORITHMS: Final[dict[str, tuple[str, ...]]] = {
    "kl": ("trpo",),
    "damping": ("trpo",),
    "cg_steps": ("trpo",),
    "batch_size": ("trpo", "ppo"),
    "passes": ("trpo", "ppo"),
    "policy_entropy": ("ppo", "a2c"),
}


def is_used(config: GAILConfig, name: str) -> bool:
    """Whether the setting ``name`` does anything with the method, the updater and the algorithm of ``config``."""
    return _obstacle(config, name) is None


def refuse_unused(config: GAILConfig, chosen: Iterable[str]) -> None:
    """Raise if a setting that the user chose would be ignored without a word.

    Args:
        config: the configuration.
        chosen: the names of the settings that are not as the preset has them.

    Raises:
        ConfigurationError: naming the setting, and with what it is used.
    """
    for name in chosen:
        if (obstacle := _obstacle(config, name)) is not None:
            what, found, wanted = obstacle
            raise ConfigurationError(
                f"{name} is not used with {what}={found}, but with {' or '.join(wanted)}: leave it out, or change the "
                f"{what}."
            )


def _obstacle(config: GAILConfig, name: str) -> tuple[str, str, tuple[str, ...]] | None:
    """Return the choice that leaves a setting without use, as it is and as it would have to be."""
    choices = [("method", config.method, _METHODS), ("algorithm", config.algorithm, _ALGORITHMS)]
    if config.method in {"l2l", "base"}:
        choices.append(("updater", config.updater_settings.name, _UPDATERS))
    for what, found, table in choices:
        if name in table and found not in table[name]:
            return what, found, table[name]
    return None
