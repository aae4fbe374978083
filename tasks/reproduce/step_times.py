"""How long a step of several trainings takes, from steps that take turns: a busy machine is busy for all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import torch

from tasks.reproduce.experiment import Request
from tasks.run import Run
from tasks.vision.build import Training, build
from tasks.vision.config import VisionConfig
from tasks.vision.machine import fabric_of, precision_of
from tasks.vision.train import device_of

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


def even_seconds(run: Run, configs: Sequence[VisionConfig], request: Request) -> None:
    """Let the seconds in the results of a sweep be those of its trainings' steps in turns, times their number.

    The trainings of a sweep meet a machine that is now more, now less busy, so that their own times do not compare.
    What was timed stays in the results, and is not timed again.

    Args:
        run: the sweep's run.
        configs: its trainings, several seeds of each among them.
        request: what they were asked for.
    """
    first = {config.label: config for config in reversed(configs)}
    known = {record["method"] for record in run.results() if "seconds_an_epoch" in record}
    if not known.issuperset(first):
        made = {method: build(config, device=device_of(config)) for method, config in first.items()}
        run.append_results(epoch_times(made, request))
    times = {r["method"]: r["seconds_an_epoch"] for r in run.results() if "seconds_an_epoch" in r}
    run.append_results(
        record | {"seconds": first[record["method"]].epochs * times[record["method"]]}
        for record in run.results()
        if "seconds" in record
    )


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
    batch, fabric = next(iter(training.batches)), fabric_of(training.config)
    while True:
        begin = time.perf_counter()
        with precision_of(fabric):
            training.solver.step(batch)
        if batch.x.is_cuda:
            torch.cuda.synchronize()
        yield time.perf_counter() - begin
