"""What is attacked: a part of a training's data, and what records say of the classifier."""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import nn

from bilevel.errors import ConfigurationError
from tasks.vision.build import Training
from tasks.vision.data import Images


def part(training: Training, split: str) -> Images:
    """Return a part of the data by its name.

    Raises:
        ConfigurationError: for an unknown name.
    """
    parts = {"train": training.split.train, "validation": training.split.validation, "test": training.split.test}
    if split not in parts:
        raise ConfigurationError(f"There is no part {split!r} of the data. Known are: {', '.join(parts)}.")
    return parts[split]


def first_images(training: Training, split: str, count: int) -> Training:
    """Return the same training with only the first ``count`` images of a part of its data.

    Raises:
        ConfigurationError: for an unknown part, or if it has fewer images.
    """
    images = part(training, split)
    if not 1 <= count <= len(images):
        raise ConfigurationError(f"images must be from 1 to {len(images)}, which the {split} part has; got {count}.")
    fewer = dataclasses.replace(training.split, **{split: images.subset(slice(0, count))})
    return dataclasses.replace(training, split=fewer)


def identity(training: Training, split: str) -> dict[str, Any]:
    """Return what every record of a trained classifier says about it."""
    config = training.config
    return {
        "task": config.task,
        "method": config.label,
        "kind": "learned" if isinstance(training.solver.rule, nn.Module) else "hand-written",
        "data": config.data,
        "seed": config.seed,
        "split": split,
    }
