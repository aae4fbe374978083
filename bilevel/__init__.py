"""Bilevel and minimax optimization where the follower is solved by a learned optimizer."""

from bilevel import learned, rules
from bilevel.errors import BilevelError, CheckpointError, ConfigurationError, NonFiniteError, TaskError
from bilevel.hypergradient import Direct, Hypergradient, LeaderGradient
from bilevel.leader import LeaderUpdate, OptimizerUpdate
from bilevel.play import FollowerFirst, LeaderFirst, Play, Simultaneous
from bilevel.projections import box, l2_ball, linf_ball, simplex
from bilevel.record import Record
from bilevel.rollout import Rollout, roll_out
from bilevel.rule_loss import LastAnswer, Proximal, RuleLoss, SummedOverSteps
from bilevel.rules import Rule
from bilevel.solver import Solver
from bilevel.task import FollowerTask, MinimaxTask, Task

__all__ = [
    "BilevelError",
    "CheckpointError",
    "ConfigurationError",
    "Direct",
    "FollowerFirst",
    "FollowerTask",
    "Hypergradient",
    "LastAnswer",
    "LeaderFirst",
    "LeaderGradient",
    "LeaderUpdate",
    "MinimaxTask",
    "NonFiniteError",
    "OptimizerUpdate",
    "Play",
    "Proximal",
    "Record",
    "Rollout",
    "Rule",
    "RuleLoss",
    "Simultaneous",
    "Solver",
    "SummedOverSteps",
    "Task",
    "TaskError",
    "box",
    "l2_ball",
    "learned",
    "linf_ball",
    "roll_out",
    "rules",
    "simplex",
]
