"""What an iteration of each updater of the discriminator costs: time and memory.

    python benchmarks/updater.py [ROUNDS] [THREADS] [UPDATER ...]

Each updater runs in a process of its own, one after the other: 2,048 pairs of the policy and 2,000 of the expert, and
m = 2,561 weights. A step is one step of the solver: the discriminator's gradient, the rule's update, the rule's
gradient, its optimizer's step. The memory is the largest resident set of the process, some 0.3 GiB of libraries
included.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
import time

import torch

import bilevel
from tasks.gail.discriminator import Discriminator
from tasks.gail.task import Imitation
from tasks.gail.updaters import UpdaterSettings, moving

NAMES = ("adam", "sgd", "coordinate-wise", "lstm", "per-layer", "low-rank", "paper-factored", "paper")


def solver_of(name: str, discriminator: Discriminator) -> bilevel.Solver:
    torch.manual_seed(0)
    parts = moving(UpdaterSettings(name), discriminator)
    return bilevel.Solver(
        Imitation(discriminator),
        parts.rule,
        rule_optimizer=parts.rule_optimizer,
        rule_loss=parts.rule_loss,
        play=bilevel.FollowerFirst(),
    )


def measure(name: str, rounds: int, threads: int) -> None:
    torch.set_num_threads(threads)
    begin = time.perf_counter()
    discriminator = Discriminator(6)
    solver = solver_of(name, discriminator)
    built = time.perf_counter() - begin
    batch = solver.task.batch(torch.randn(2048, 6), torch.randn(2000, 6) + 0.5)
    seconds = []
    for _ in range(rounds + 2):  # the first ones make the optimizer's state and meet cold caches
        begin = time.perf_counter()
        solver.step(batch)
        seconds.append(time.perf_counter() - begin)
    low, middle, high = statistics.quantiles(seconds[2:], n=4)
    count = sum(p.numel() for p in getattr(solver.rule, "parameters", list)())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{name:16s} {count:12,d} parameters   median {1e3 * middle:8.1f} ms   quartiles {1e3 * low:8.1f} to "
        f"{1e3 * high:8.1f}   n = {rounds}   peak {peak:5.2f} GiB   built in {built:.1f} s",
        flush=True,
    )


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    start = multiprocessing.get_context("spawn")  # a forked process would begin with this one's memory
    for name in sys.argv[3:] or NAMES:
        process = start.Process(target=measure, args=(name, rounds, threads))
        process.start()
        process.join()


if __name__ == "__main__":
    main()
