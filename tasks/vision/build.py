"""The parts of an adversarial training, made from its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from bilevel.fit import Fitted
from bilevel.solver import Solver
from tasks.vision import tables
from tasks.vision.checks import check_images, check_training
from tasks.vision.config import VisionConfig
from tasks.vision.data import Batches, ImageBatch, Images, Split
from tasks.vision.datasets import augmentation, load
from tasks.vision.methods import Method
from tasks.vision.networks import Blueprint, Classifier
from tasks.vision.networks.usual import usual_normalisation
from tasks.vision.schedule import scheduler


@final
@dataclass(frozen=True, eq=False)
class Training:
    """All parts of an adversarial training.

    Attributes:
        config: what was asked for.
        split: the data, on the device.
        model: the classifier.
        solver: what trains it; ``solver.rule`` is the attacker.
        batches: what it learns from.
        scheduler: of its learning rate, stepping once a step.
        fitted: how the training went; ``None`` before it, and for one that was restored.
    """

    config: VisionConfig
    split: Split
    model: nn.Module
    solver: Solver[ImageBatch]
    batches: Batches
    scheduler: LRScheduler
    fitted: Fitted | None = None


def build(
    config: VisionConfig,
    *,
    model: nn.Module | None = None,
    method: Method | None = None,
    split: Split | None = None,
    device: torch.device | str = "cpu",
) -> Training:
    """Return the parts of the training that ``config`` describes, untrained; weights come from the global generator.

    Args:
        config: the configuration.
        model: another classifier than the one that ``config`` names: images in [0, 1] to logits (n, classes).
        method: another method than the one that ``config`` names.
        split: other data than those that ``config`` names.
        device: where model and data are put.

    Raises:
        ConfigurationError: if something is out of range or does not fit, before anything is trained.
    """
    split = split or load(
        config.data,
        config.seed,
        data_dir=config.data_dir,
        image_size=config.image_size,
        train_images=config.train_images,
        validation_images=config.validation_images,
        test_images=config.test_images,
    )
    images = split.train
    model = model or _network(config, images)
    check_training(images, config.batch_size, model)
    check_images(split.validation)
    split, model = split.to(device), model.to(device)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
    )
    solver = (method or config.make_method()).solver(
        model,
        eps=min(1.0, config.reach * config.eps),
        channels=images.channels,
        samples=len(images),
        leader_optimizer=optimizer,
    )
    batches = Batches(split.train, config.batch_size, augmentation(config.data, config.augment))
    shape = tables.SCHEDULES[config.schedule](config.epochs, config.milestones, config.decay, config.peak)
    rates = scheduler(optimizer, shape, epochs=config.epochs, steps_per_epoch=len(batches), warmup=config.warmup)
    return Training(config, split, model, solver, batches, rates)


def _network(config: VisionConfig, images: Images) -> Classifier:
    """Return the network that ``config`` names, for ``images``."""
    blueprint = Blueprint(
        images.channels,
        images.classes,
        width=config.width,
        depth=config.depth,
        dropout=config.dropout,
        normalise=usual_normalisation(images) if config.normalise else None,
    )
    return tables.MODELS[config.model](blueprint)
