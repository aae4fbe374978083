"""A training whose data are loaded by a process that is killed, as a script."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from torch.utils.data import DataLoader, Dataset
from training_cases import perturbed

from bilevel.errors import BilevelError


class Deadly(Dataset):
    """Ends the process that loads its last samples."""

    def __init__(self, points, owner):
        self.points = points
        self.owner = owner

    def __len__(self):
        return len(self.points)

    def __getitem__(self, index):
        if index >= 16 and os.getpid() != self.owner:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.points[index]


if __name__ == "__main__":
    case = perturbed()
    case.data = DataLoader(Deadly(case.data.dataset, os.getpid()), batch_size=4, num_workers=1)
    try:
        case.fit(Path(sys.argv[1]))
    except BilevelError as error:
        print(f"{type(error).__name__}: {error}", flush=True)  # noqa: T201
        os._exit(0)
