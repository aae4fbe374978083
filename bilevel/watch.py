"""Whether the numbers of a training are finite, in all of its processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from bilevel.errors import NonFiniteError
from bilevel.monitor import require_finite_players
from bilevel.saving import Saving
from bilevel.training_state import TrainingState


@final
class Watch:
    """Ends a training, with advice, whose numbers are not finite; what one of several processes finds ends all.

    Args:
        state: where the training stands.
        saving: its checkpoints.
    """

    def __init__(self, state: TrainingState, saving: Saving) -> None:
        self.state = state
        self.saving = saving

    def check_records(self) -> None:
        """Raise `NonFiniteError` if a loss or a gradient since the last check is not finite."""
        self._check(self.state.monitor.check)

    def check_all(self) -> None:
        """Raise `NonFiniteError` if one of those, or an entry of a player, is not finite."""
        self.check_records()
        self._check(lambda: require_finite_players(self.state.solver))

    def _check(self, check: Callable[[], None]) -> None:
        found: NonFiniteError | None = None
        try:
            check()
        except NonFiniteError as error:
            found = error
        if self.state.solver.processes.any(found is not None):
            what = found or "A number of another process is not finite."
            raise NonFiniteError(f"{what} {self._advice()}")

    def _advice(self) -> str:
        if self.saving.folder is None:
            return self.saving.advice()
        return (
            f"{self.saving.advice()} With the same settings it comes to the same step: a new run with a smaller "
            "learning rate is the first thing to try."
        )
