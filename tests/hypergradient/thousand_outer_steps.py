"""Take 1,000 steps with every hypergradient and print for each whether what is alive stays the same.

`test_every_hypergradient` runs this file in a process of its own: there the shape annotations are not executed.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import torch
import torchopt

sys.path.insert(0, str(Path(__file__).parents[1]))

from alive import alive
from problems import Quadratic, sgd

import bilevel
from bilevel.linear import ConjugateGradient, Dense, FixedPoint, Neumann

METHODS = [
    bilevel.Direct(),
    bilevel.Unrolled(),
    bilevel.Checkpointed(),
    bilevel.Truncated(2),
    *(bilevel.Implicit(s) for s in (ConjugateGradient(), Neumann(3, 0.1), FixedPoint(3), Dense())),
    bilevel.FiniteDifference(),
    bilevel.EvolutionStrategy(0.1, 2),
    bilevel.PersistentEvolutionStrategy(0.1, 2),
    bilevel.ValueFunction(10.0, steps=3),
]


def main():
    torch.set_num_threads(1)
    gc.freeze()  # what the imports made is not looked through again and again
    for method in METHODS:
        task = Quadratic()
        task.lives_on, task.episode = True, 49
        solver = bilevel.Solver(
            task,
            torchopt.sgd(0.1, momentum=0.5),
            steps=3,
            leader_optimizer=sgd(task.leader, 1e-3),
            hypergradient=method,
            play=bilevel.FollowerFirst(),
        )
        counts = []
        for step in range(1, 1001):
            solver.step(None)
            if step in (20, 1000):  # the same age in the episode
                counts.append(alive())
        print("flat" if counts[0] == counts[1] and counts[0][1] == 0 else f"{method}:{counts}")  # noqa: T201


if __name__ == "__main__":
    main()
