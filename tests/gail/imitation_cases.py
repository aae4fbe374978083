"""Small trainings of imitation, and what they leave behind."""

from __future__ import annotations

import csv

import torch
from torch import Tensor

from tasks.gail.config import GAILConfig

SMALL = {"steps": 64, "environments": 4, "policy_hidden": (8,), "hidden": (6, 4), "passes": 2, "batch_size": 16,
         "evaluation_episodes": 2}  # fmt: skip


def small(**settings):
    """Return the configuration of a training of a second."""
    return GAILConfig(**{**SMALL, "iterations": 6, **settings})


def assert_same(a, b, where="state"):
    """Assert that two trees are equal to the last bit."""
    assert type(a) is type(b), where
    if isinstance(a, Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for name in a:
            assert_same(a[name], b[name], f"{where}.{name}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for number, (one, other) in enumerate(zip(a, b, strict=True)):
            assert_same(one, other, f"{where}[{number}]")
    else:
        assert a == b, where


def metrics(folder, *, seconds=False):
    """Return the rows of a log, without the times unless they are asked for."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return rows if seconds else [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
