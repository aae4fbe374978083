"""The errors of the library; each message names what was done, what is allowed and what to do."""

from __future__ import annotations


class BilevelError(Exception):
    """The base of every error that the library raises on purpose."""


class ConfigurationError(BilevelError, ValueError):
    """Parts that do not fit together, or a setting outside its range."""


class TaskError(BilevelError):
    """A method of the user's task returned something that the solver cannot use."""


class NonFiniteError(BilevelError, FloatingPointError):
    """A loss or a gradient became infinite or not a number."""


class DivergenceError(NonFiniteError):
    """A player left the bound that was set for it, on its way to infinity."""


class ConvergenceError(BilevelError, ArithmeticError):
    """An inner solver did not converge, and was asked to say so by an exception."""


class ProcessError(BilevelError):
    """A process that a training needs was lost."""


class OutOfMemoryError(BilevelError, MemoryError):
    """A step of a training did not fit into memory."""


class SolverWarning(UserWarning):
    """An inner solver's result cannot be relied on."""


class CheckpointError(BilevelError):
    """A checkpoint could not be written or read."""


class RuleFileError(BilevelError):
    """The file of a trained rule could not be written or read."""
