"""Training on the clean images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import nn, optim

from bilevel.rules.stay import Stay
from bilevel.solver import Solver
from tasks.vision.data import ImageBatch
from tasks.vision.games import RobustClassification, Terms
from tasks.vision.methods.base import Method


@final
@dataclass(frozen=True)
class Plain(Method):
    """The follower stays at the clean images: one forward and one backward pass a step."""

    def solver(
        self,
        model: nn.Module,
        *,
        eps: float,
        channels: int,
        samples: int,
        leader_optimizer: optim.Optimizer,
    ) -> Solver[ImageBatch]:
        """Return the solver."""
        return Solver(RobustClassification(model, Terms(eps)), Stay(), leader_optimizer=leader_optimizer)
