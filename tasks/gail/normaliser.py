"""Running statistics of the features, by which they are scaled."""

from __future__ import annotations

from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from bilevel.errors import ConfigurationError


@final
class RunningNorm:
    r"""Scale features to mean 0 and variance 1 over all pairs that were seen so far.

    $$x \mapsto (x - \mu) / \sqrt{\sigma^2 + \epsilon}$$

    The statistics are kept in double precision, and merged batch by batch without loss (Chan et al. 1979). They belong
    to the task's state.

    Source: Ho and Ermon 2016, their code: of observations, and of continuous actions, from both players' pairs.

    Args:
        measured: how many features, from the first on, are scaled; the others (one-hot actions) stay as they are.
        epsilon: ε, in squared units of the features; positive.

    Raises:
        ConfigurationError: if one is out of range.
    """

    def __init__(self, measured: int, *, epsilon: float = 1e-8) -> None:
        if measured < 1 or not epsilon > 0:
            raise ConfigurationError(
                f"RunningNorm got measured={measured} and epsilon={epsilon}; both must be positive."
            )
        self.measured = measured
        self.epsilon = epsilon
        self.count = 0
        self.mean = torch.zeros(measured, dtype=torch.float64)
        self.squares = torch.zeros(measured, dtype=torch.float64)  # of the distances from the mean

    def see(self, rows: Float[Tensor, "n f"]) -> None:
        """Take note of pairs."""
        if not len(rows):
            return
        x = rows[:, : self.measured].detach().double().cpu()
        mean, total = x.mean(0), self.count + len(x)
        apart = mean - self.mean
        self.squares = self.squares + (x - mean).square().sum(0) + apart.square() * (self.count * len(x) / total)
        self.mean = self.mean + apart * (len(x) / total)
        self.count = total

    def scale(self, rows: Float[Tensor, "n f"]) -> Float[Tensor, "n f"]:
        """Return pairs scaled by the statistics of this moment; as they are before any was seen."""
        if not self.count:
            return rows
        deviation = (self.squares / self.count + self.epsilon).sqrt()
        scaled = (rows[:, : self.measured] - self.mean.to(rows)) / deviation.to(rows)
        return torch.cat([scaled, rows[:, self.measured :]], dim=1)

    def state_dict(self) -> dict[str, Any]:
        """Return the statistics."""
        return {"count": self.count, "mean": self.mean, "squares": self.squares}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the statistics that `state_dict` returned."""
        self.count, self.mean, self.squares = int(state["count"]), state["mean"], state["squares"]
