"""Training a new network by any optimizer, a learned one among them, and watching what it becomes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn, optim

from bilevel.errors import ConfigurationError
from bilevel.rng import RandomSources
from tasks.meta.attack import SignAttack
from tasks.meta.mixture import Mixture
from tasks.meta.problems import Problem

MakeOptimizer = Callable[[nn.Module], optim.Optimizer]
"""Returns an optimizer of a network's parameters."""


@final
@dataclass(frozen=True)
class Trace:
    """How a network fared.

    Attributes:
        steps: after how many updates it was measured, from 0 on.
        rows: what `tasks.meta.problems.Problem.measure` found then.
        seconds: the time of the updates alone.
        passes: backward passes that they took, those of attacks among them.
        diverged: after which update weights or losses were first found not to be finite; ``None`` if all were.
    """

    steps: tuple[int, ...]
    rows: tuple[dict[str, float], ...]
    seconds: float
    passes: int
    diverged: int | None = None


@final
@dataclass(frozen=True)
class Trial:
    """What a network is trained and measured on.

    Args:
        problem: the problem.
        pool: what it is trained on.
        watched: what it is measured on.
        mixture: the loss whose gradient the optimizer gets.
        attack: what it is measured under; ``None`` for nothing but clean data.
        steps: how many updates it is given.
        every: after how many of them it is measured.

    Raises:
        ConfigurationError: if a number is below 1, or ``steps`` is no multiple of ``every``.
    """

    problem: Problem[Any, Any]
    pool: Any
    watched: Any
    mixture: Mixture
    attack: SignAttack | None
    steps: int
    every: int

    def __post_init__(self) -> None:
        if min(self.steps, self.every) < 1 or self.steps % self.every:
            raise ConfigurationError(
                f"steps must be a multiple of every, both at least 1; got {self.steps} and {self.every}."
            )

    def run(self, make: MakeOptimizer, seed: int) -> Trace:
        """Train a network from its beginning; the first weights and the batches depend on the seed alone.

        PyTorch's random numbers are as before afterwards.

        Args:
            make: makes the optimizer.
            seed: at least 0.
        """
        with RandomSources().kept_aside():
            torch.manual_seed(seed)
            network = self.problem.network()
            weights = dict(network.named_parameters())
            optimizer = make(network)
            steps, rows, seconds, diverged = [0], [self._measure(weights)], 0.0, None
            for step in range(1, self.steps + 1):
                begin = time.perf_counter()
                loss = self.problem.loss(weights, self.problem.sample(self.pool), self.mixture)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                seconds += time.perf_counter() - begin
                if step % self.every == 0:
                    whole = all(bool(w.isfinite().all()) for w in weights.values())
                    row = self._measure(weights) if whole else {}
                    if not whole or not all(map(math.isfinite, row.values())):
                        diverged = step
                        break
                    steps.append(step)
                    rows.append(row)
        return Trace(tuple(steps), tuple(rows), seconds, (diverged or self.steps) * self.mixture.passes, diverged)

    def _measure(self, weights: dict[str, Any]) -> dict[str, float]:
        return self.problem.measure(weights, self.watched, self.attack)
