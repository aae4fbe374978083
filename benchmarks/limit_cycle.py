"""From how many starts and seeds the learned rule of the toy games reaches the equilibrium of xy.

    python benchmarks/limit_cycle.py [SEEDS]

The seeds begin at 1000: those below were looked at when the rule's rate was chosen.
"""

from __future__ import annotations

import statistics
import sys

import torch

from tasks.toy import LearnedPlay, Xy, play

FIRST_SEED = 1000
TOLERANCE = 1e-6
STARTS = (
    (1.0, 0.0),
    (1.0, 1.0),
    (-1.0, 0.5),
    (0.0, 1.0),
    (0.0, -2.0),
    (3.0, 0.0),
    (10.0, 0.0),
    (0.1, 0.1),
    (100.0, 0.0),
)
STEPS = ((0.002, 10_000), (0.05, 1000), (0.1, 1000), (0.2, 1000), (0.5, 1000))


def arrivals(start: tuple[float, float], step: float, steps: int, seeds: int, *, lives_on: bool = False) -> str:
    first: list[int] = []
    ends: list[float] = []
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        method = LearnedPlay(seed=seed, lives_on=lives_on, bound=2.0 if lives_on else float("inf"))
        path = play(method.solver(lambda **kind: Xy(*start, **kind), step), steps, name="learned", every=1)
        near = path.distance <= TOLERANCE
        ends.append(float(path.distance[-1]))
        if bool(near[-1]) and not path.diverged:
            first.append(int(near.nonzero()[0]))
    when = f"median {statistics.median(first):6.0f}, most {max(first):6d} steps" if first else "none"
    return f"{len(first):2d} of {seeds}   {when}   median distance at the end {statistics.median(ends):.0e}"


def main() -> None:
    torch.set_num_threads(1)
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    print(f"Within {TOLERANCE} of (0, 0), seeds {FIRST_SEED} to {FIRST_SEED + seeds - 1}\n")
    for start in STARTS:
        print(f"h = 0.02, 4000 steps, start {start!s:14}  {arrivals(start, 0.02, 4000, seeds)}", flush=True)
    for step, steps in STEPS:
        print(f"h = {step}, {steps} steps, start (1, 0)   {arrivals((1.0, 0.0), step, steps, seeds)}", flush=True)
    for start in STARTS[:4]:
        print(
            f"living on, h = 0.02, start {start!s:14}  {arrivals(start, 0.02, 4000, seeds, lives_on=True)}", flush=True
        )


if __name__ == "__main__":
    main()
