"""A small classifier of digits that was trained to withstand attacks, made once for all tests of a process."""

from __future__ import annotations

import functools

import torch
from torch import nn

from tasks.vision.config import DROConfig
from tasks.vision.data import Images
from tasks.vision.train import train

EPS = 0.2


@functools.cache
def robust_digits() -> tuple[nn.Module, Images]:
    """Return the classifier, in evaluation mode, and its test images; about 3 seconds."""
    threads, random = torch.get_num_threads(), torch.get_rng_state()
    trained = train(DROConfig(method="fgsm-rs", epochs=8, width=16, threads=1), progress=False)
    torch.set_num_threads(threads)
    torch.set_rng_state(random)
    return trained.model.eval(), trained.split.test
