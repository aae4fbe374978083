"""Environment steps a second of imitation learning, beside the `imitation` package in an environment of its own.

    python benchmarks/gail.py [ROUNDS] [--peer PYTHON]

PYTHON is the interpreter of an environment with ``imitation`` and the ``sb3-contrib`` of its stable-baselines3
(``pip install imitation "sb3-contrib~=2.2.1"``); without it only our own loops are timed. All train CartPole-v1 by TRPO
with the same settings, 2,048 steps and one update of a 64-32 discriminator an iteration, on one thread; a call is two
iterations, whole: rollout, discriminator, policy and log. The last table says what share of an iteration the
discriminator takes, with a rule written by hand and with one that learns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timing import interleaved, ratio, row

import bilevel
from tasks.gail.build import Training, build
from tasks.gail.config import GAILConfig
from tasks.gail.evaluation import Report

ITERATIONS = 2
BASE = GAILConfig(iterations=10_000)
OURS = {
    "ours, 8 gymnasium": replace(BASE, environments=8, vectorised=False),
    "ours, 8 NumPy": replace(BASE, environments=8, vectorised=True),
    "ours, 32 NumPy": replace(BASE, environments=32, vectorised=True),
    "ours, l2l, 8 gymnasium": replace(BASE, environments=8, vectorised=False, method="l2l"),
}
THEIRS = {"imitation, 8 gymnasium": 8, "imitation, 32 gymnasium": 32}
GOALS = (
    ("ours, 8 gymnasium", "imitation, 8 gymnasium", 1.5),
    ("ours, 32 NumPy", "imitation, 8 gymnasium", 2.5),
    ("ours, 32 NumPy", "imitation, 32 gymnasium", 2.5),
)


def ours(training: Training) -> Callable[[], None]:
    """Return what goes on with a training for some iterations."""

    def call() -> None:
        bilevel.fit(training.solver, training.batches, epochs=ITERATIONS, evaluate=Report(training), progress=False)

    return call


class Peer:
    """A training of the other package, in a process of its own that waits for its turns."""

    def __init__(self, python: str, environments: int) -> None:
        demonstrations = build(BASE).demonstrations
        file = Path(__file__).with_name("gail_peer.py")
        settings = {
            "environments": environments,
            "observations": demonstrations.observations.tolist(),
            "actions": demonstrations.actions.tolist(),
            **{name: getattr(BASE, name) for name in ("steps", "gamma", "gae_lambda", "kl", "damping", "cg_steps",
                                                      "batch_size", "passes", "policy_hidden", "hidden")},
        }  # fmt: skip
        self.process = subprocess.Popen([python, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._say(json.dumps(settings))

    def __call__(self) -> None:
        """Train for some iterations."""
        self._say(str(ITERATIONS))

    def _say(self, words: str) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if answer != "done":
            raise SystemExit(f"The other package's process ended: {answer}")

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


def shares(config: GAILConfig, rounds: int) -> tuple[float, float]:
    """Return the median seconds of an iteration, and of its discriminator's part: all but rollout and policy."""
    torch.manual_seed(0)
    training = build(config)
    spent: list[float] = []

    def timed(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            begin = time.perf_counter()
            found = method(*arguments)
            spent.append(time.perf_counter() - begin)
            return found

        return call

    training.learner.collect = timed(training.learner.collect)
    training.learner.update = timed(training.learner.update)
    whole, rest = [], []
    for _ in range(rounds):
        spent.clear()
        begin = time.perf_counter()
        for batch in training.batches:
            training.solver.step(batch)
        whole.append(time.perf_counter() - begin)
        rest.append(whole[-1] - sum(spent))
    return statistics.median(whole), statistics.median(rest)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rounds", nargs="?", type=int, default=10)
    parser.add_argument("--peer")
    options = parser.parse_args()
    torch.set_num_threads(1)
    np.random.seed(0)  # noqa: NPY002 (the algorithms draw their batches from it)
    candidates: dict[str, Callable[[], object]] = {}
    for name, config in OURS.items():
        torch.manual_seed(0)
        candidates[name] = ours(build(config))
    peers = {name: Peer(options.peer, count) for name, count in THEIRS.items()} if options.peer else {}
    try:
        seconds = interleaved({**candidates, **peers}, rounds=options.rounds, warmup=2)
    finally:
        for peer in peers.values():
            peer.close()
    for name, values in seconds.items():
        print(f"{row(name, values)}   {ITERATIONS * BASE.steps / statistics.median(values):7,.0f} steps/s")
    for mine, other, goal in GOALS if peers else ():
        middle, low, high = ratio(seconds, other, mine)
        print(f"{mine} against {other}: {middle:.2f} times the steps a second ({low:.2f} to {high:.2f}), goal {goal}")
    whole = shares(OURS["ours, l2l, 8 gymnasium"], 2 * options.rounds)
    base = shares(replace(OURS["ours, 8 gymnasium"], method="base"), 2 * options.rounds)
    print(f"the discriminator takes {100 * base[1] / base[0]:.1f} % of an iteration with a gradient step, "
          f"{100 * whole[1] / whole[0]:.1f} % with the coordinate-wise updater: the updater itself "
          f"{100 * (whole[1] - base[1]) / whole[0]:.1f} % (goal: at most 10 %)")  # fmt: skip


if __name__ == "__main__":
    main()
