"""Bilevel and minimax optimization where the follower is solved by a learned optimizer."""

from bilevel import learned, linear, rules
from bilevel.checkpoint import CheckpointFolder
from bilevel.clipping import ClipNorm
from bilevel.errors import (
    BilevelError,
    CheckpointError,
    ConfigurationError,
    ConvergenceError,
    DivergenceError,
    NonFiniteError,
    OutOfMemoryError,
    ProcessError,
    RuleFileError,
    SolverWarning,
    TaskError,
)
from bilevel.field import Field
from bilevel.fit import Fitted, fit
from bilevel.hypergradient import (
    Checkpointed,
    Condition,
    Direct,
    EvolutionStrategy,
    FiniteDifference,
    Hypergradient,
    Implicit,
    LeaderGradient,
    PersistentEvolutionStrategy,
    Stationary,
    SteadyRule,
    Truncated,
    Unrolled,
    ValueFunction,
)
from bilevel.inner import InnerProblem
from bilevel.interrupt import Interrupted
from bilevel.leader import LeaderUpdate, OptimizerUpdate
from bilevel.loggers import CSVLogger, Logger, TensorBoardLogger
from bilevel.play import (
    CompetitiveGradient,
    Consensus,
    Extragradient,
    FollowerFirst,
    LeaderFirst,
    Lookahead,
    Moves,
    NegativeMomentum,
    Optimistic,
    PastExtragradient,
    Play,
    Simultaneous,
    SymplecticAdjustment,
    Teaching,
)
from bilevel.processes import Alone, Processes
from bilevel.progress import Bar, Progress
from bilevel.projections import box, l2_ball, linf_ball, simplex
from bilevel.record import Record
from bilevel.rollout import Move, Rollout
from bilevel.rule_loss import LastAnswer, Proximal, RuleLoss, SummedOverSteps
from bilevel.rules import Rule
from bilevel.solver import Solver
from bilevel.starts import Center, Gaussian, Start, Uniform
from bilevel.task import FollowerTask, MinimaxTask, Task
from bilevel.together import Together
from bilevel.weight_average import WeightAverage

__all__ = [
    "Alone",
    "Bar",
    "BilevelError",
    "CSVLogger",
    "Center",
    "CheckpointError",
    "CheckpointFolder",
    "Checkpointed",
    "ClipNorm",
    "CompetitiveGradient",
    "Condition",
    "ConfigurationError",
    "Consensus",
    "ConvergenceError",
    "Direct",
    "DivergenceError",
    "EvolutionStrategy",
    "Extragradient",
    "Field",
    "FiniteDifference",
    "Fitted",
    "FollowerFirst",
    "FollowerTask",
    "Gaussian",
    "Hypergradient",
    "Implicit",
    "InnerProblem",
    "Interrupted",
    "LastAnswer",
    "LeaderFirst",
    "LeaderGradient",
    "LeaderUpdate",
    "Logger",
    "Lookahead",
    "MinimaxTask",
    "Move",
    "Moves",
    "NegativeMomentum",
    "NonFiniteError",
    "Optimistic",
    "OptimizerUpdate",
    "OutOfMemoryError",
    "PastExtragradient",
    "PersistentEvolutionStrategy",
    "Play",
    "ProcessError",
    "Processes",
    "Progress",
    "Proximal",
    "Record",
    "Rollout",
    "Rule",
    "RuleFileError",
    "RuleLoss",
    "Simultaneous",
    "Solver",
    "SolverWarning",
    "Start",
    "Stationary",
    "SteadyRule",
    "SummedOverSteps",
    "SymplecticAdjustment",
    "Task",
    "TaskError",
    "Teaching",
    "TensorBoardLogger",
    "Together",
    "Truncated",
    "Uniform",
    "Unrolled",
    "ValueFunction",
    "WeightAverage",
    "box",
    "fit",
    "l2_ball",
    "learned",
    "linear",
    "linf_ball",
    "rules",
    "simplex",
]
