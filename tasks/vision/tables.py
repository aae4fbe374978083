"""The names that a configuration may use, and the objects that they stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import nn

from bilevel.learned import BatchMax, LogSign, Preprocess, SampleRMS, Sign, Slim, Small, Wide
from bilevel.play import FollowerFirst, LeaderFirst, Play, Simultaneous
from bilevel.rule_loss import LastAnswer, RuleLoss, SummedOverSteps
from bilevel.starts import Center, Gaussian, Start, Uniform
from tasks.vision import schedule
from tasks.vision.methods.per_image import PerImage
from tasks.vision.networks import SmallConvNet, WideResNet
from tasks.vision.norm_modes import BatchStatisticsNorm, EvalModeNorm, NormMode, TrainModeNorm

NORM_MODES: dict[str, NormMode] = {
    "eval": EvalModeNorm(),
    "train": TrainModeNorm(),
    "batch": BatchStatisticsNorm(),
}

PREPROCESSES: dict[str, Preprocess] = {
    "raw": PerImage(),
    "batch-max": BatchMax(),
    "sample-rms": SampleRMS(),
    "sign": Sign(),
    "log-sign": LogSign(),
}

PLAYS: dict[str, Play] = {
    "simultaneous": Simultaneous(),
    "leader-first": LeaderFirst(),
    "leader-first-same-answer": LeaderFirst(same_answer=True),
    "follower-first": FollowerFirst(),
    "follower-first-same-answer": FollowerFirst(same_answer=True),
}

RULE_LOSSES: dict[str, RuleLoss] = {"last": LastAnswer(), "summed": SummedOverSteps()}

STARTS: dict[str, Callable[[float], Start]] = {
    "center": lambda _size: Center(),
    "uniform": Uniform,
    "gaussian": Gaussian,
}
"""Called with the start's size."""

ATTACKERS: dict[str, Callable[[int, int, bool], Callable[[int, int], nn.Module]]] = {
    "small": lambda width, depth, skip: Small(width=width, depth=depth, skip=skip),
    "wide": lambda _width, _depth, _skip: Wide(),
    "wide-code": lambda _width, _depth, _skip: Wide(tapered=True),
    "slim": lambda _width, _depth, _skip: Slim(),
}
"""Called with the width, the depth and the skip, which concern the small one."""

MODELS: dict[str, Callable[[int, int, int | None, int, float], nn.Module]] = {
    "small": lambda channels, classes, width, _depth, _dropout: SmallConvNet(channels, classes, width=width or 32),
    "wide-resnet": lambda channels, classes, width, depth, dropout: WideResNet(
        depth, width or 10, channels, classes, dropout=dropout
    ),
}
"""Called with channels, classes, width, depth and dropout."""

SCHEDULES: dict[str, Callable[[int, tuple[int, ...], float], schedule.Shape]] = {
    "cosine": lambda epochs, _milestones, _decay: schedule.cosine(epochs),
    "steps": lambda _epochs, milestones, decay: schedule.steps(milestones, decay),
    "constant": lambda _epochs, _milestones, _decay: schedule.constant(),
}
"""Called with the number of epochs, the milestones and the decay."""

DEVICES: dict[str, str] = {"auto": "auto", "cpu": "cpu", "cuda": "cuda", "mps": "mps"}
"""The accelerators of Lightning Fabric."""

PRECISIONS: dict[str, Literal["32-true", "bf16-mixed"]] = {"32-true": "32-true", "bf16-mixed": "bf16-mixed"}
"""Those of Lightning Fabric's that need no scaling of the loss."""
