"""Where a training runs: devices, precision, and the processes that train together."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from bilevel.errors import ConfigurationError
from bilevel.processes import Alone, Processes
from tasks.vision import tables
from tasks.vision.config.machine import MachineSettings

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def fabric_of(config: MachineSettings) -> Fabric:
    """Return Lightning's handle of the devices and the precision that ``config`` asks for; nothing is started.

    Raises:
        ConfigurationError: if they are not there, or Lightning Fabric is not installed.
    """
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.utilities.exceptions import MisconfigurationException
    except ImportError as error:
        raise ConfigurationError("Training on images needs Lightning Fabric: pip install 'bilevel[vision]'.") from error
    devices, nodes = _devices(config), _nodes(config)
    by_fabric = "LT_CLI_USED" in os.environ  # the launcher has set them, and a second opinion would be an error
    try:
        return Fabric(
            accelerator=tables.DEVICES[config.device],
            devices="auto" if by_fabric and config.devices is None else devices,
            num_nodes=nodes,
            strategy="ddp" if devices * nodes > 1 else "auto",
            precision=tables.PRECISIONS[config.precision],
        )
    except (RuntimeError, ValueError, MisconfigurationException) as error:
        asked = f"{devices} x {config.device}" if devices > 1 else config.device
        raise ConfigurationError(f"The device {asked} cannot be used: {error}") from error


def launch(config: MachineSettings) -> tuple[Fabric, Processes]:
    """Return the handle of this process's device, and the processes that it trains with.

    If ``config`` asks for several devices and no launcher (torchrun, fabric run, srun) has started a process for each,
    this starts them: each runs the program that this one runs, from its beginning. A second call starts nothing.

    Raises:
        ConfigurationError: if the devices are not there.
    """
    fabric = fabric_of(config)
    if fabric.world_size == 1:
        return fabric, Alone()
    from torch import distributed

    from bilevel.together import Together

    started = distributed.is_initialized()
    try:
        if "LT_CLI_USED" not in os.environ:  # there it is done
            fabric.launch()
    except (RuntimeError, ValueError) as error:
        raise ConfigurationError(f"The processes cannot be started: {error}") from error
    if not started:  # threads that are left over at the end of Python abort the process
        atexit.register(_leave)
    return fabric, Together(fabric.device)


def _leave() -> None:
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()


@contextmanager
def precision_of(fabric: Fabric) -> Iterator[None]:
    """Within the context networks compute in the precision of ``fabric``."""
    # Autocast would keep its copies of the weights until the context ends, whatever the optimizers do to them.
    cached = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        with fabric.autocast():
            yield
    finally:
        torch.set_autocast_cache_enabled(cached)


def _devices(config: MachineSettings) -> int:
    """Return how many processes a machine has: as the configuration says, else as many as a launcher started."""
    if config.devices is not None:
        return config.devices
    started = os.environ.get("LT_DEVICES") or os.environ.get("LOCAL_WORLD_SIZE") or "1"
    return int(started) if started.isdigit() else 1


def _nodes(config: MachineSettings) -> int:
    if config.nodes is not None:
        return config.nodes
    return int(os.environ.get("LT_NUM_NODES") or os.environ.get("GROUP_WORLD_SIZE") or 1)
