"""What the processes of one training share of its two players."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from torch import Tensor, nn

from bilevel.leader import parameters_of
from bilevel.processes import Alone, Processes


@final
class Sharing:
    """Gradients become means over the processes, and so do the running statistics of batch norm.

    Args:
        processes: those that train together.
        leader: θ, whatever holds it.
        rule: the rule, whose parameters φ and buffers are shared if it has any.
    """

    def __init__(self, processes: Processes, leader: Any, rule: Any) -> None:
        self.processes = processes
        self._players = leader, rule
        self._statistics = [_statistics(player) for player in self._players]

    @classmethod
    def alone(cls) -> Sharing:
        """Return what one process shares: nothing."""
        return cls(Alone(), None, None)

    def equalise(self) -> None:
        """Give both players the values that they have in the first process."""
        leader, rule = self._players
        phi = list(rule.parameters()) if isinstance(rule, nn.Module) else []
        self.processes.equalise([*parameters_of(leader), *phi, *(b for part in self._statistics for b in part)])

    def of_leader(self, gradient: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
        """Return the mean of the gradient in θ."""
        return self.processes.mean_gradient(gradient, self._statistics[0])

    def of_rule(self, gradient: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
        """Return the mean of the gradient in φ."""
        return self.processes.mean_gradient(gradient, self._statistics[1])


def _statistics(player: Any) -> list[Tensor]:
    return [b for b in player.buffers() if b.is_floating_point()] if isinstance(player, nn.Module) else []
