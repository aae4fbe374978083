"""The parts of a training, from its configuration."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Any, final

import torch
from torch import nn, optim
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from bilevel.clipping import ClipNorm
from bilevel.errors import ConfigurationError
from bilevel.fit import Fitted
from bilevel.learned import LSTM, Direction, Grouped, Input, Iterate, LogSign, Watched
from bilevel.rules.module import ModuleRule
from bilevel.solver import Solver
from tasks.meta.attack import ATTACKS, SignAttack
from tasks.meta.config import MetaConfig
from tasks.meta.curriculum import Curriculum, Plan
from tasks.meta.data import QUADRATICS, Halves, load_halves
from tasks.meta.estimators import estimators
from tasks.meta.mixture import CLEAN, Mixture
from tasks.meta.networks import Perceptron, ThreeConvolutions
from tasks.meta.problems import Classification, Problem
from tasks.meta.quadratics import QuadraticProblem
from tasks.meta.task import Training, require_updates
from tasks.vision.data import Images


@final
@dataclass(frozen=True, eq=False)
class MetaTraining:
    """A rule with all that it learns from.

    Attributes:
        config: the settings.
        data: the data.
        problem: what is learned to be solved.
        rule: the rule.
        watched: the same rule, with what is noted of it while it learns.
        clipping: what shortens its gradients.
        solver: whose step is a window.
        curriculum: is called after each step.
        scheduler: of the rule's learning rate, a step a window.
        fitted: how the training went; ``None`` before it.
    """

    config: MetaConfig
    data: Halves
    problem: Problem[Any, Any]
    rule: ModuleRule
    watched: Watched
    clipping: ClipNorm
    solver: Solver[Any] = field(repr=False)
    curriculum: Curriculum = field(repr=False)
    scheduler: LRScheduler = field(repr=False)
    fitted: Fitted | None = None


def build(config: MetaConfig) -> MetaTraining:
    """Return the parts that ``config`` asks for, with random numbers from PyTorch's global generator.

    Raises:
        ConfigurationError: if they do not fit together, or the data are not there.
        DataError: if a data file is damaged.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError("PyTorch finds no GPU here: leave device at cpu, or install a build for your GPU.")
    attack_of(config)  # says what is out of range, also of a rule that learns without it
    data = data_of(config)
    problem = problem_of(config, data)
    rule = rule_of(config).to(config.device)
    rule.init(problem.start())  # says which pattern matches nothing
    optimizer = optim.Adam(rule.parameters(), lr=config.rate)
    watched, clipping = Watched(rule), ClipNorm(config.clip)
    optimizer.register_step_pre_hook(clipping)
    plan = plan_of(config)
    judged = judged_of(config)

    def task(leader: nn.Module | None) -> Training:
        shown = CLEAN if config.shown == "clean" else judged
        settings = {"episode": plan.episode(0), "share": plan.share(0)}
        return Training(problem, shown=shown, judged=judged, leader=leader, **settings)  # type: ignore[arg-type]

    estimator = estimators(config.sigma, config.pairs)[config.estimator]
    limit = config.limit or (1e6 if config.data == QUADRATICS else 100.0)
    solver = estimator.solver(task, watched, optimizer, truncation=config.truncation, limit=limit)
    scheduler = LambdaLR(optimizer, partial(_falling, windows=config.windows))
    curriculum = Curriculum(solver, plan)
    return MetaTraining(config, data, problem, rule, watched, clipping, solver, curriculum, scheduler)


def data_of(config: MetaConfig) -> Halves:
    """Return the data, where they are wanted."""
    data = load_halves(config.data, config.seed, data_dir=config.data_dir, test_images=config.test_images)
    if isinstance(data.meta, Images) and config.batch_size > min(len(data.meta), len(data.transfer)):
        raise ConfigurationError(
            f"The batch size is {config.batch_size}, but half of {config.data} are {len(data.meta)} images: choose a "
            "smaller one."
        )
    if config.device == "cpu" or not isinstance(data.meta, Images):
        return data
    return Halves(
        data.name, *(part.to(config.device) for part in (data.meta, data.transfer, data.validation, data.test))
    )


def problem_of(config: MetaConfig, data: Halves) -> Problem[Any, Any]:
    """Return the problem that is solved on ``data``."""
    if config.data == QUADRATICS:
        return QuadraticProblem(len(data.meta.target), data.meta.target.shape[1])
    return Classification(partial(_network, config, data.meta), config.batch_size)


def rule_of(config: MetaConfig) -> ModuleRule:
    """Return the rule before training."""
    rules = {pattern: _lstm(config) for pattern in config.groups}
    return rules["*"] if config.groups == ("*",) else Grouped(rules)


def attack_of(config: MetaConfig) -> SignAttack | None:
    """Return the attack at its full radius; ``None`` where there are no images."""
    steps, step = ATTACKS[config.attack]
    return None if config.data == QUADRATICS else SignAttack(config.eps, steps, step)


def judged_of(config: MetaConfig) -> Mixture:
    """Return what the rule is judged by."""
    return CLEAN if config.alpha == 1 else Mixture(config.alpha, attack_of(config))


def plan_of(config: MetaConfig) -> Plan:
    """Return the curriculum."""
    longest = require_updates(config.horizon, config.truncation)
    first = require_updates(config.first_horizon or config.horizon, config.truncation, "first_horizon")
    return Plan(config.windows, first, longest, config.growth, config.ramp)


def _lstm(config: MetaConfig) -> LSTM:
    inputs: list[Input] = [Direction(LogSign(config.preprocess), detach=config.estimator != "second-order")]
    if config.weight_input:
        inputs.append(Iterate(scale=config.weight_input))
    # Without zeros at the end all weights drift at first, which kills the units of a network.
    return LSTM(config.rule_hidden, 2, inputs=inputs, scale=config.update_scale, zero_last=True)


def _network(config: MetaConfig, images: Images) -> nn.Module:
    channels, height, width = images.pixels.shape[1:]
    if config.model == "convolutional":
        if height != width:
            raise ConfigurationError(f"The convolutional network needs square images, got {height} x {width} pixels.")
        network: nn.Module = ThreeConvolutions(
            channels,
            images.classes,
            size=height,
            width=config.width,
            hidden=config.hidden[0],
            activation=config.activation,
        )
    else:
        hidden = () if config.model == "logistic" else config.hidden
        network = Perceptron(channels * height * width, images.classes, hidden=hidden, activation=config.activation)
    return network.to(config.device)


def _falling(window: int, *, windows: int) -> float:
    """Return the share of the learning rate: from 1 along a cosine to a twentieth."""
    return 0.05 + 0.475 * (1 + math.cos(math.pi * min(1.0, window / windows)))
