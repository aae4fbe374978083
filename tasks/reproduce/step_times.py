"""How long a step of several trainings takes, from steps that take turns: a busy machine is busy for all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import torch

from tasks.reproduce.experiment import Request
from tasks.vision.build import Training

ROUNDS: Final = 9
"""How many steps of each training are timed."""
UNTIMED: Final = 2
"""How many are taken before."""


def epoch_times(trainings: Mapping[str, Training], request: Request) -> list[dict[str, Any]]:
    """Return for each training a record with median and quartiles of its steps, times the steps an epoch.

    Args:
        trainings: freshly built trainings by the names of their methods.
        request: what they were asked for.
    """
    steps = {method: _step_times(training) for method, training in trainings.items()}
    rounds = [{method: next(times) for method, times in steps.items()} for _ in range(ROUNDS + UNTIMED)][UNTIMED:]
    return [
        _record(request, method, len(training.batches), [times[method] for times in rounds])
        for method, training in trainings.items()
    ]


def _record(request: Request, method: str, count: int, seconds: list[float]) -> dict[str, Any]:
    low, middle, high = (count * quartile for quartile in statistics.quantiles(seconds, n=4))
    return {
        "task": "dro",
        "method": method,
        "data": request.data,
        "seed": request.seeds[0],
        "seconds_an_epoch": middle,
        "lower_quartile": low,
        "upper_quartile": high,
        "steps_an_epoch": count,
        "steps_timed": len(seconds),
    }


def _step_times(training: Training) -> Iterator[float]:
    """Yield the seconds of one step after another."""
    batch = next(iter(training.batches))
    while True:
        begin = time.perf_counter()
        training.solver.step(batch)
        if batch.x.is_cuda:
            torch.cuda.synchronize()
        yield time.perf_counter() - begin
