"""Cleaning runs of a second, and a setting in which no wrong label can be overlooked."""

from __future__ import annotations

import csv
from dataclasses import replace

from cleaning_cases import clusters

from tasks.cleaning.config import CleaningConfig
from tasks.cleaning.setting import Setting
from tasks.cleaning.train import contestants
from tasks.cleaning.trial import Trial

QUICK = CleaningConfig(
    train=60, validation=40, held_out=30, hidden=(4,), methods=("unrolled", "truncated"),
    baselines=("noisy", "validation"), steps=4, inner_steps=3, truncation=2, evaluate_every=2,
)  # fmt: skip


def read(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def separated(**changes):
    """Return a setting in which each class has a corner of its own, so that a wrong label cannot be overlooked."""
    settings = {"steps": 12, "evaluate_every": 6, "inner_steps": 4, "inner_rate": 3.0, "rate": 0.5, "penalty": 0.01}
    config = replace(QUICK, **(settings | {"truncation": 4, "terms": 4, "pairs": 6} | changes))
    return Setting(config, clusters(train=18, other=18, noise=1 / 6, spread=0.02), "linear", 0)


def cleaned(setting, method, folder):
    (contestant,) = contestants(replace(setting.config, methods=(method,), baselines=()), setting.model)
    return Trial(contestant, setting).run(folder)
