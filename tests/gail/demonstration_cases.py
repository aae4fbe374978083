"""Demonstrations that are numbered, ways to compare them, and what must never be unpickled."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tasks.gail.demonstrations import Demonstrations


def some(lengths=(7, 4, 9), *, continuous=False, **changed):
    """Return demonstrations whose observations and actions are numbered."""
    n = sum(lengths)
    observations = np.arange(4 * n, dtype=np.float32).reshape(n, 4)
    actions = np.arange(2 * n, dtype=np.float32).reshape(n, 2) if continuous else np.arange(n, dtype=np.int64) % 2
    fields = {
        "environment": "CartPole-v1",
        "horizon": None,
        "observations": observations,
        "actions": actions,
        "lengths": np.array(lengths, np.int64),
        "returns": np.arange(float(len(lengths))),
        "about": {"command": "made here"},
    }
    return Demonstrations(**{**fields, **changed})


def same(a, b):
    arrays = ("observations", "actions", "lengths", "returns")
    plain = (a.environment, a.horizon, dict(a.about)) == (b.environment, b.horizon, dict(b.about))
    return plain and all(
        getattr(a, name).dtype == getattr(b, name).dtype
        and np.array_equal(getattr(a, name), getattr(b, name), equal_nan=name == "returns")
        for name in arrays
    )


class Bomb:
    """Something whose unpickling would be noticed."""

    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))
