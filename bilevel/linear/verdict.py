"""What is done about a linear solver that did not converge."""

from __future__ import annotations

import warnings

from bilevel.errors import ConvergenceError, SolverWarning
from bilevel.linear.base import LinearSolver, Solution, Status


def judge(solution: Solution, solver: LinearSolver, *, of: str, remedy: str | None, throw: bool) -> None:
    """Say how ``solver`` failed, if it did.

    A solver that was stopped before its tolerance may have been meant to: that is said on request alone.

    Args:
        solution: what it returned.
        solver: the solver.
        of: what the system is for, as the beginning of a sentence.
        remedy: what to do about it.
        throw: whether to raise for every failure.

    Raises:
        ConvergenceError: if it did not converge, and ``throw`` is set.
    """
    if solution.status is Status.CONVERGED:
        return
    said = (
        f"{of} has the status {solution.status} after {solution.iterations} iterations of {type(solver).__name__}, "
        f"with a relative residual of {float(solution.residual):.1e}: {remedy}."
    )
    if throw:
        raise ConvergenceError(said)
    if solution.status is not Status.MAX_STEPS:
        warnings.warn(said, SolverWarning, stacklevel=3)
