"""The parts of an adversarial training, made from its configuration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from bilevel.clipping import ClipNorm
from bilevel.errors import ConfigurationError
from bilevel.fit import Fitted
from bilevel.processes import Alone, Processes
from bilevel.solver import Solver
from bilevel.weight_average import WeightAverage
from tasks.vision import tables
from tasks.vision.checks import check_images, check_training
from tasks.vision.config import VisionConfig
from tasks.vision.data import Batches, ImageBatch, Images, Split
from tasks.vision.datasets import augmentation, load
from tasks.vision.methods import Method
from tasks.vision.networks import Blueprint, Classifier
from tasks.vision.networks.usual import usual_normalisation
from tasks.vision.schedule import scheduler
from tasks.vision.trial import check_classifier


@final
@dataclass(frozen=True, eq=False)
class Training:
    """All parts of an adversarial training.

    Attributes:
        config: what was asked for.
        split: the data, on the device.
        model: the classifier that is the result: the one that ``solver`` trains, or the average of its weights.
        solver: what trains it; ``solver.task.leader`` is the classifier with its last weights, ``solver.rule`` the
            attacker.
        batches: what it learns from.
        scheduler: of its learning rate, stepping once a step.
        average: what averages the classifier's weights; ``None`` if nothing does.
        fitted: how the training went; ``None`` before it, and for one that was restored.
    """

    config: VisionConfig
    split: Split
    model: nn.Module
    solver: Solver[ImageBatch]
    batches: Batches
    scheduler: LRScheduler
    average: WeightAverage | None = None
    fitted: Fitted | None = None


def build(
    config: VisionConfig,
    *,
    model: nn.Module | None = None,
    method: Method | None = None,
    split: Split | None = None,
    device: torch.device | str = "cpu",
    processes: Processes | None = None,
) -> Training:
    """Return the parts of the training that ``config`` describes, untrained; weights come from the global generator.

    Args:
        config: the configuration.
        model: another classifier than the one that ``config`` names: images in [0, 1] to logits (n, classes).
        method: another method than the one that ``config`` names.
        split: other data than those that ``config`` names.
        device: where model and data are put.
        processes: those that train together, each on its share of every batch; ``None`` for this one alone.

    Raises:
        ConfigurationError: if something is out of range or does not fit, before anything is trained.
    """
    processes = processes or Alone()
    split = split or _split(config, processes)
    images = split.train
    model = model or _network(config, images)
    check_training(images, config.batch_size, model, processes.count)
    check_images(split.validation)
    split, model = split.to(device), model.to(device)
    if next(model.parameters(), None) is None:
        raise ConfigurationError(f"The classifier {type(model).__name__} has no parameters, so that it cannot learn.")
    check_classifier(model, split.train)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
    )
    if config.clip is not None:
        optimizer.register_step_pre_hook(ClipNorm(config.clip))
    solver = (method or config.make_method()).solver(
        model,
        eps=min(1.0, config.reach * config.eps),
        channels=images.channels,
        samples=len(images),
        leader_optimizer=optimizer,
    )
    if config.channels_last or (config.channels_last is None and torch.device(device).type != "mps"):
        for part in (model, solver.rule):
            if isinstance(part, nn.Module):
                part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # its stubs lack this one
    batches = Batches(split.train, config.batch_size, augmentation(config.data, config.augment))
    if processes.count > 1:
        solver.join(processes)
        order = _order_and_own_draws(processes)
        batches = replace(batches, rank=processes.rank, world=processes.count, generator=order)
    shape = tables.SCHEDULES[config.schedule](config.epochs, config.milestones, config.decay, config.peak)
    rates = scheduler(optimizer, shape, epochs=config.epochs, steps_per_epoch=len(batches), warmup=config.warmup)
    average = None
    if config.ema is not None:
        average = WeightAverage(model, config.ema, start=round(config.ema_start * config.epochs * len(batches)))
    return Training(config, split, average.average if average else model, solver, batches, rates, average)


def _split(config: VisionConfig, processes: Processes) -> Split:
    """Return the data that ``config`` names; the first process goes first, since they may have to be downloaded."""

    def read() -> Split:
        return load(
            config.data,
            config.seed,
            data_dir=config.data_dir,
            image_size=config.image_size,
            train_images=config.train_images,
            validation_images=config.validation_images,
            test_images=config.test_images,
        )

    found: list[Split] = []
    processes.from_first(lambda: found.append(read()))
    return found[0] if found else read()


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


def _order_and_own_draws(processes: Processes) -> torch.Generator:
    """Return the generator of the images' order, the same in all processes, and let each draw all else for itself."""
    state = processes.from_first(torch.get_rng_state)
    order = torch.Generator().set_state(state)
    seeds = torch.randint(2**62, (processes.count,), generator=torch.Generator().set_state(state))
    torch.manual_seed(int(seeds[processes.rank]))
    return order
