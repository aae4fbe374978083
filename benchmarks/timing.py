"""Time several things fairly on a shared machine: in one run, in turn, in a new order each round."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping

import torch


def interleaved(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    warmup: int = 5,
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Return the seconds of each call: every candidate once a round, in random order.

    Work on one thread may be timed by ``time.thread_time``, which does not run while other processes do.
    """
    order, draw = list(candidates), random.Random(seed)
    for name in order * warmup:
        candidates[name]()
    seconds: dict[str, list[float]] = {name: [] for name in order}
    for _ in range(rounds):
        draw.shuffle(order)
        for name in order:
            begin = clock()
            candidates[name]()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seconds[name].append(clock() - begin)
    return seconds


def ratio(seconds: Mapping[str, list[float]], name: str, base: str) -> tuple[float, float, float]:
    """Return the median over rounds of ``name`` / ``base``, and its 95 % interval by the bootstrap."""
    pairs = [a / b for a, b in zip(seconds[name], seconds[base], strict=True)]
    draw = random.Random(0)
    medians = sorted(statistics.median(draw.choices(pairs, k=len(pairs))) for _ in range(500))
    return statistics.median(pairs), medians[12], medians[487]


def row(name: str, values: list[float]) -> str:
    """Return a line with the median and the quartiles, in milliseconds."""
    low, middle, high = (1e3 * q for q in statistics.quantiles(values, n=4))
    return f"{name:28s} median {middle:8.3f} ms   quartiles {low:8.3f} to {high:8.3f}   n = {len(values)}"
