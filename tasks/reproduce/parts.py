"""The trained classifiers of a reproduction."""

from __future__ import annotations

import torch

from tasks.run import Run
from tasks.vision.build import Training
from tasks.vision.config import VisionConfig
from tasks.vision.sweep import part_name
from tasks.vision.train import device_of, restore


def trained(run: Run, config: VisionConfig) -> Training:
    """Return what a sweep of ``run`` trained as ``config`` says, in evaluation mode.

    Raises:
        CheckpointError: if it is not trained yet.
    """
    device: torch.device = device_of(config)
    return restore(config, run.part(part_name(config)), device=device)
