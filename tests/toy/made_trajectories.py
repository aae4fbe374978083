"""Trajectories that nobody has played."""

from __future__ import annotations

import torch

from tasks.toy import Trajectory


def made(distances, name="", costs=None, **settings):
    """A trajectory with these distances."""
    count = len(distances)
    points = torch.zeros(count, 1, dtype=torch.float64)
    costs = torch.arange(count, dtype=torch.float64) if costs is None else torch.tensor(costs, dtype=torch.float64)
    return Trajectory(
        name, torch.arange(count), points, points, torch.tensor(distances, dtype=torch.float64), costs, **settings
    )
