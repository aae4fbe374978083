"""Where a training runs."""

from __future__ import annotations

import os
from dataclasses import dataclass

from bilevel.errors import ConfigurationError
from tasks.names import look_up
from tasks.vision import tables
from tasks.vision.config.group import SettingsGroup


@dataclass(frozen=True)
class MachineSettings(SettingsGroup):
    """The device, and how it computes."""

    device: str = "auto"
    """Where to train: auto (the fastest that is there), cpu, cuda or mps."""

    precision: str = "32-true"
    """The numbers' precision: 32-true or bf16-mixed."""

    threads: int | None = None
    """How many CPU cores PyTorch uses; None leaves it as it is."""

    devices: int | None = None
    """How many devices of a machine train together, each on an equal share of every batch; None: as many as a launcher
    (torchrun, fabric run) has started processes for, else one."""

    nodes: int | None = None
    """How many machines train together, each with as many devices; None: as many as a launcher says, else one."""

    compile: bool = False
    """Whether the classifier is compiled (torch.compile), which takes a minute or more at the beginning."""

    channels_last: bool | None = None
    """Whether the channels of an image lie together in memory; None: but on mps, since convolutions are faster so."""

    def check(self) -> None:
        """Raise `ConfigurationError` for an unknown name or a number out of range."""
        look_up(tables.DEVICES, self.device, "device")
        look_up(tables.PRECISIONS, self.precision, "precision")
        self.check_positive("threads", "devices", "nodes")
        cores = os.cpu_count() or 1
        if self.threads is not None and self.threads > cores:
            raise ConfigurationError(f"threads must be at most the number of cores, {cores}; got {self.threads}.")
