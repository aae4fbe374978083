"""A training of a rule that is killed in the middle of a window: python killed_learning.py FOLDER WINDOW SETTINGS."""

from __future__ import annotations

import json
import os
import signal
import sys

from tasks.meta.config import MetaConfig
from tasks.meta.task import Training
from tasks.meta.train import train
from tasks.settings import from_dict

folder, window, settings = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
loss, losses = Training._loss, 0
config = from_dict(MetaConfig, settings)


def killed(self, *arguments):
    """Die where the network has moved, and the rule has not."""
    global losses  # noqa: PLW0603
    losses += 1
    if losses == (window - 1) * (2 * config.truncation) + config.truncation:
        os.kill(os.getpid(), signal.SIGKILL)
    return loss(self, *arguments)


Training._loss = killed
train(config, folder, checkpoint_every=1, progress=False)
