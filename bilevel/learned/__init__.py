"""Learned update rules, and the parts to build them from.

A rule combines what it sees (inputs, each with a preprocessing of its own) with a network.
"""

from bilevel.learned.base import LearnedRule
from bilevel.learned.block import ResidualBlock
from bilevel.learned.convolutional import Convolutional
from bilevel.learned.factored import FactoredLinear, factored
from bilevel.learned.factored_adam import FactoredAdam
from bilevel.learned.grouped import Grouped
from bilevel.learned.inputs import (
    GRAD,
    GRAD_ONLY,
    NAIVE,
    Direction,
    Displacement,
    Input,
    Iterate,
    LastDirection,
    Memory,
    Noise,
    Start,
    View,
)
from bilevel.learned.low_rank import LowRank
from bilevel.learned.lstm import LSTM
from bilevel.learned.mlp import MLP
from bilevel.learned.multistep import Multistep
from bilevel.learned.optimizer import RuleOptimizer
from bilevel.learned.preprocess import BatchMax, LogSign, Preprocess, Raw, SampleRMS, Sign
from bilevel.learned.residual import BoundedResidual
from bilevel.learned.rule_file import SavedRule, load, save
from bilevel.learned.skip import SkipToLast
from bilevel.learned.slim import Slim
from bilevel.learned.small import Small
from bilevel.learned.watched import Watched
from bilevel.learned.wide import Wide

__all__ = [
    "GRAD",
    "GRAD_ONLY",
    "LSTM",
    "MLP",
    "NAIVE",
    "BatchMax",
    "BoundedResidual",
    "Convolutional",
    "Direction",
    "Displacement",
    "FactoredAdam",
    "FactoredLinear",
    "Grouped",
    "Input",
    "Iterate",
    "LastDirection",
    "LearnedRule",
    "LogSign",
    "LowRank",
    "Memory",
    "Multistep",
    "Noise",
    "Preprocess",
    "Raw",
    "ResidualBlock",
    "RuleOptimizer",
    "SampleRMS",
    "SavedRule",
    "Sign",
    "SkipToLast",
    "Slim",
    "Small",
    "Start",
    "View",
    "Watched",
    "Wide",
    "factored",
    "load",
    "save",
]
