"""The names that a configuration may use, and the objects that they stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import nn

from bilevel.learned import BatchMax, LogSign, Preprocess, SampleRMS, Sign, Slim, Small, Wide
from bilevel.play import FollowerFirst, LeaderFirst, Play, Simultaneous
from bilevel.play.teaching import same_batch
from bilevel.rule_loss import LastAnswer, RuleLoss, SummedOverSteps
from bilevel.starts import Center, Gaussian, Start, Uniform
from tasks.vision import schedule
from tasks.vision.data import ImageBatch
from tasks.vision.games import Away, FeatureLoss, Pairing, RandomOther, Reversed, Towards
from tasks.vision.methods.per_image import PerImage
from tasks.vision.methods.teacher import halves
from tasks.vision.networks import (
    Blueprint,
    Classifier,
    MNISTNet,
    PreActResNet,
    ResNet,
    SmallConvNet,
    WideResNet,
    preact_resnet,
    resnet,
    wide_resnet,
)
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
    "uniform-unprojected": lambda size: Uniform(size, feasible=False),
}
"""Called with the start's size."""

FEATURE_LOSSES: dict[str, FeatureLoss] = {"towards": Towards(), "away": Away()}

EXAMS: dict[str, Callable[[ImageBatch], tuple[ImageBatch, ImageBatch]]] = {"halves": halves, "same": same_batch}

PAIRINGS: dict[str, Pairing] = {"reversed": Reversed(), "random": RandomOther()}

ATTACKERS: dict[str, Callable[[int, int, bool], Callable[[int, int], nn.Module]]] = {
    "small": lambda width, depth, skip: Small(width=width, depth=depth, skip=skip),
    "wide": lambda _width, _depth, _skip: Wide(),
    "wide-code": lambda _width, _depth, _skip: Wide(tapered=True),
    "slim": lambda _width, _depth, _skip: Slim(),
}
"""Called with the width, the depth and the skip, which concern the small one."""

MODELS: dict[str, Callable[[Blueprint], Classifier]] = {
    "small": lambda b: SmallConvNet(b.channels, b.classes, width=b.width or 32, normalise=b.normalise),
    "mnist": lambda b: MNISTNet(b.channels, b.classes, width=b.width or 32, normalise=b.normalise),
    "wide-resnet": lambda b: WideResNet(
        b.depth or 34, b.width or 10, b.channels, b.classes, dropout=b.dropout, normalise=b.normalise
    ),
    "resnet": lambda b: ResNet(b.depth or 18, b.channels, b.classes, width=b.width or 64, normalise=b.normalise),
    "preact-resnet": lambda b: PreActResNet(
        b.depth or 18, b.channels, b.classes, width=b.width or 64, normalise=b.normalise
    ),
}

DEPTHS: dict[str, Callable[[int], None]] = {
    "wide-resnet": wide_resnet.check_depth,
    "resnet": resnet.check_depth,
    "preact-resnet": preact_resnet.check_depth,
}
"""What refuses a depth, for those models that have one."""

SCHEDULES: dict[str, Callable[[int, tuple[int, ...], float, float], schedule.Shape]] = {
    "cosine": lambda epochs, _milestones, _decay, _peak: schedule.cosine(epochs),
    "steps": lambda _epochs, milestones, decay, _peak: schedule.steps(milestones, decay),
    "cyclic": lambda epochs, _milestones, _decay, peak: schedule.cyclic(epochs, peak),
    "constant": lambda _epochs, _milestones, _decay, _peak: schedule.constant(),
}
"""Called with the number of epochs, the milestones, the decay and the peak."""

DEVICES: dict[str, str] = {"auto": "auto", "cpu": "cpu", "cuda": "cuda", "mps": "mps"}
"""The accelerators of Lightning Fabric."""

PRECISIONS: dict[str, Literal["32-true", "bf16-mixed"]] = {"32-true": "32-true", "bf16-mixed": "bf16-mixed"}
"""Those of Lightning Fabric's that need no scaling of the loss."""
