"""The call of a user's evaluation between two epochs, of which training notices nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, TypeAlias

from torch import nn

from bilevel.errors import ConfigurationError
from bilevel.interrupt import Interrupts
from bilevel.solver import Solver
from bilevel.training_state import TrainingState

Evaluate: TypeAlias = Callable[[], Mapping[str, Any]]
"""Returns numbers (Python's, NumPy's or tensors of one entry) by name."""


def run_evaluation(evaluate: Evaluate, state: TrainingState, interrupts: Interrupts) -> dict[str, float]:
    """Return the numbers of ``evaluate``, with the random states and the modes of all modules as they were before.

    Raises:
        ConfigurationError: if it returns something else than numbers by name.
        KeyboardInterrupt: at the first signal, since nothing of the training would be left half done. One of several
            processes stays to the end, since the others wait for it.
    """
    alone = state.solver.processes.count == 1
    with interrupts.at_once() if alone else nullcontext(), state.random.kept_aside(), _modes_kept(state.solver):
        numbers = evaluate()
    if not isinstance(numbers, Mapping):
        raise ConfigurationError(f"evaluate must return numbers by name, got {type(numbers).__name__}.")
    return {name: float(number) for name, number in numbers.items()}


def train_mode(solver: Solver[Any]) -> None:
    """Put a leader and a rule that is trained into training mode."""
    for module in _modules(solver):
        if module is solver.task.leader or solver.rule_optimizer is not None:
            module.train()


def _modules(solver: Solver[Any]) -> list[nn.Module]:
    return [part for part in (solver.task.leader, solver.rule) if isinstance(part, nn.Module)]


@contextmanager
def _modes_kept(solver: Solver[Any]) -> Iterator[None]:
    """Give every module the mode back that it has now."""
    modes = [(module, module.training) for player in _modules(solver) for module in player.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
