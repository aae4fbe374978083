"""Watches the numbers of the steps: their means over an epoch, and that they are finite."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, final

import torch
from torch import Tensor, nn

from bilevel.errors import NonFiniteError
from bilevel.leader import parameters_of
from bilevel.record import NUMBERS, Record, values
from bilevel.solver import Solver

_WATCHED = {
    "leader_loss": "the leader's loss",
    "follower_loss": "the follower's loss",
    "leader_gradient_norm": "the norm of the leader's gradient",
    "rule_gradient_norm": "the norm of the gradient of the follower's rule",
}


@final
class Monitor:
    """Collects records without waiting for the device, and fetches many of them at one time.

    Args:
        every: after how many records `add` asks for a check.

    Attributes:
        last: the numbers of the last record that was fetched.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.last: dict[str, float] = {}
        self._waiting: list[Record] = []
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, record: Record) -> bool:
        """Take in a record and say whether a check is due."""
        self._waiting.append(record)
        return len(self._waiting) >= self.every

    def check(self) -> None:
        """Fetch the records since the last check.

        Raises:
            NonFiniteError: naming the first step with a loss or gradient that is not finite, and whose it is.
        """
        records, self._waiting = self._waiting, []
        for record, row in zip(records, values(records), strict=True):
            bad = [f"{what} is {row[name]}" for name, what in _WATCHED.items() if not math.isfinite(row.get(name, 0.0))]
            if bad:
                raise NonFiniteError(f"Step {record.step}: {' and '.join(bad)}.")
            self.last = row
            for name in NUMBERS:
                if name in row:
                    self._sums[name] = self._sums.get(name, 0.0) + row[name]
                    self._counts[name] = self._counts.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        """Return the means of the numbers that were fetched since `clear`."""
        return {name: self._sums[name] / self._counts[name] for name in NUMBERS if name in self._sums}

    def clear(self) -> None:
        """Begin new means."""
        self._sums, self._counts = {}, {}

    def state_dict(self) -> dict[str, Any]:
        """Return the sums so far; every record was checked."""
        if self._waiting:
            raise AssertionError("check before saving")
        return {"sums": dict(self._sums), "counts": dict(self._counts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the sums that `state_dict` returned."""
        self._waiting, self._sums, self._counts = [], dict(state["sums"]), dict(state["counts"])


def require_finite_players(solver: Solver[Any]) -> None:
    """Raise `NonFiniteError` if a step has left an entry of a player, or of a buffer of one, not finite.

    A finite gradient can do so, by a step that is too long; the records show it only one step later.
    """
    players = [(name, tensor) for name, tensor in _players(solver) if tensor.is_floating_point()]
    if not players:
        return
    for (name, _), finite in zip(players, torch.stack([_all_finite(t) for _, t in players]).tolist(), strict=True):
        if not finite:
            raise NonFiniteError(f"Step {solver.step_count}: after it {name} has entries that are not finite.")


def _all_finite(tensor: Tensor) -> Tensor:
    """Return whether all entries are finite, in one pass that writes nothing down: players may be large."""
    if not tensor.numel():
        return torch.ones((), dtype=torch.bool, device=tensor.device)
    least, most = torch.aminmax(tensor.detach())  # NaN if any entry is
    return least.isfinite() & most.isfinite()


def _players(solver: Solver[Any]) -> Iterator[tuple[str, Tensor]]:
    leader, rule = solver.task.leader, solver.rule
    if isinstance(leader, nn.Module):
        yield from ((f"the leader's parameter {name}", p) for name, p in leader.named_parameters())
        yield from ((f"the leader's buffer {name}", b) for name, b in leader.named_buffers())
    else:
        yield from (("the leader", p) for p in parameters_of(leader))
    if isinstance(rule, nn.Module):
        yield from ((f"the parameter {name} of the follower's rule", p) for name, p in rule.named_parameters())
        yield from ((f"the buffer {name} of the follower's rule", b) for name, b in rule.named_buffers())
    for name, value in solver.follower.state_dict().items():
        tensors = [leaf for leaf in value if isinstance(leaf, Tensor)] if isinstance(value, list) else []
        yield from ((f"the follower's {name.replace('_', ' ')}", leaf) for leaf in tensors)
