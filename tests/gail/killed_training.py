"""A training that is killed in the middle of an iteration: python killed_training.py FOLDER ITERATION SETTINGS."""

from __future__ import annotations

import json
import os
import signal
import sys

from tasks.gail.config import GAILConfig
from tasks.gail.learner import Learner
from tasks.gail.train import train
from tasks.settings import from_dict

folder, iteration, settings = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
update, updates = Learner.update, 0


def killed(self, batch, answer, gradient):
    """Die where the policy was played and the discriminator has moved, but the policy has not."""
    global updates  # noqa: PLW0603
    updates += 1
    if updates == iteration:
        os.kill(os.getpid(), signal.SIGKILL)
    update(self, batch, answer, gradient)


Learner.update = killed
train(from_dict(GAILConfig, settings), folder, checkpoint_every=3, progress=False)
