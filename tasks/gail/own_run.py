"""The settings of a run of imitation, read back from its folder."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tasks.gail.config import GAILConfig
from tasks.run import Run
from tasks.settings import from_dict

DEMONSTRATIONS: Final = "demonstrations"
"""The name, without its ending, of a run's own copy of a user's demonstrations."""
_OTHER: Final = frozenset({"task", "command", "checkpoint_every", "tensorboard"})


def config_of(run: Run) -> GAILConfig:
    """Return the configuration of a run of imitation, with the run's own copy of a user's demonstrations.

    Raises:
        ConfigurationError: if its settings are not those of this version.
    """
    config = from_dict(GAILConfig, {name: value for name, value in run.config.items() if name not in _OTHER})
    kept = run.path / f"{DEMONSTRATIONS}.npz"
    # Those that were named may have moved or changed since, and some of the copied ones may have been taken only.
    return replace(config, demonstrations=str(kept), trajectories=None) if kept.is_file() else config
