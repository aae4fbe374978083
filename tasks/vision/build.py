"""The parts of an adversarial training, made from its configuration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import final

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from bilevel.fit import Fitted
from bilevel.solver import Solver
from tasks.names import look_up
from tasks.vision import tables
from tasks.vision.checks import check_images, check_training
from tasks.vision.config import DROConfig
from tasks.vision.data import Batches, ImageBatch, Split
from tasks.vision.datasets import load
from tasks.vision.methods import L2L, METHODS, Method, SignSteps
from tasks.vision.methods.learned import with_preprocess
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

    config: DROConfig
    split: Split
    model: nn.Module
    solver: Solver[ImageBatch]
    batches: Batches
    scheduler: LRScheduler
    fitted: Fitted | None = None


def method_of(config: DROConfig) -> Method:
    """Return the method that a configuration describes."""
    method = look_up(METHODS, config.method, "method")
    if isinstance(method, SignSteps):
        method = replace(method, norm=tables.NORM_MODES[config.pgm_norm], beta=config.pgm_beta)
        if method.warm is not None:
            method = replace(method, warm=config.warm)
        if config.method == "pgm":
            start = tables.STARTS[config.pgm_start](config.pgm_start_size)
            method = replace(method, steps=config.pgm_steps, step=config.pgm_step, start=start)
    if isinstance(method, L2L):
        method = replace(
            method,
            start=tables.STARTS[config.attacker_start](config.attacker_start_size),
            norm=tables.NORM_MODES[config.attacker_norm],
            play=tables.PLAYS[config.play],
            rule_loss=tables.RULE_LOSSES[config.attacker_loss],
            optimizer=partial(
                torch.optim.Adam,
                lr=config.attacker_lr,
                betas=config.attacker_betas,
                weight_decay=config.attacker_weight_decay,
            ),
        )
        if config.attacker_gradient is not None:
            preprocess = tables.PREPROCESSES[config.attacker_gradient]
            method = replace(method, inputs=with_preprocess(method.inputs, preprocess))
        if config.attacker is not None:
            make = tables.ATTACKERS[config.attacker]
            network = make(config.attacker_width, config.attacker_depth, config.attacker_skip)
            method = replace(method, network=network)
        if method.warm is not None:
            method = replace(method, warm=config.warm)
        if config.method == "k-step-l2l":
            method = replace(method, steps=config.k_steps, scale=config.k_scale)
        method = replace(
            method,
            base=method.base if config.attacker_base is None else config.attacker_base,
            scale=method.scale if config.attacker_scale is None else config.attacker_scale,
        )
    return method


def build(
    config: DROConfig,
    *,
    method: Method | None = None,
    split: Split | None = None,
    device: torch.device | str = "cpu",
) -> Training:
    """Return the parts of the training that ``config`` describes, untrained; weights come from the global generator.

    Args:
        config: the configuration.
        method: another method than the one that ``config`` names.
        split: other data than those that ``config`` names.
        device: where model and data are put.

    Raises:
        ConfigurationError: if something is out of range or does not fit, before anything is trained.
    """
    split = split or load(config.data, config.seed)
    images = split.train
    model = tables.MODELS[config.model](images.channels, images.classes, config.width, config.depth, config.dropout)
    check_training(images, config.batch_size, model)
    check_images(split.validation)
    split, model = split.to(device), model.to(device)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
    )
    solver = (method or method_of(config)).solver(
        model,
        eps=min(1.0, config.reach * config.eps),
        channels=images.channels,
        samples=len(images),
        leader_optimizer=optimizer,
    )
    batches = Batches(split.train, config.batch_size)
    shape = tables.SCHEDULES[config.schedule](config.epochs, config.milestones, config.decay)
    rates = scheduler(optimizer, shape, epochs=config.epochs, steps_per_epoch=len(batches), warmup=config.warmup)
    return Training(config, split, model, solver, batches, rates)
