"""Where the players of a solver stand: read, put back, and left for a look at another point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bilevel.leader import OptimizerUpdate, kept_in_place
from bilevel.tree import leaves, replace_leaves

if TYPE_CHECKING:
    from bilevel.solver import Solver


def position(solver: Solver[Any]) -> dict[str, list[Tensor]]:
    """Return where the players stand: θ, φ, and the z of a follower that lives on, copies without a graph."""
    place = solver.follower.place
    now = {"leader": solver.moved, "rule": solver.phi, "follower": [] if place is None else leaves(place[0])}
    return {player: [t.detach().clone() for t in tensors] for player, tensors in now.items()}


def stand_at(solver: Solver[Any], place: Mapping[str, Sequence[Tensor]]) -> None:
    """Put the players where `position` says; the states of optimizers and of the rule stay as they are."""
    with torch.no_grad():
        for p, value in zip([*solver.moved, *solver.phi], [*place["leader"], *place["rule"]], strict=True):
            p.copy_(value)
    if solver.follower.place is not None:
        z, state = solver.follower.place
        solver.follower.place = replace_leaves(z, [t.clone() for t in place["follower"]]), state


@contextmanager
def excursion(solver: Solver[Any]) -> Iterator[None]:
    """Let the players move for a look at another point: afterwards they and their optimizers are where they were.

    The follower's answer and its rule's state are put back, and so are θ, φ and the states of both optimizers.
    """
    place = solver.follower.place
    update = solver.leader_update
    leading = update.optimizer if isinstance(update, OptimizerUpdate) else None
    optimizers = [one for one in (leading, solver.rule_optimizer) if one is not None]
    with kept_in_place([*solver.moved, *solver.phi], optimizers):
        try:
            yield
        finally:
            solver.follower.place = place
