"""Steps a second of environments: gymnasium's one after another, and NumPy's together.

    python benchmarks/environments.py [ROUNDS]

Each call is 50 steps of all environments side by side; actions are drawn before. ``stable-baselines3`` is its
DummyVecEnv, ``gymnasium`` is gymnasium's own vector environment, ours are the other two.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv
from timing import interleaved, ratio, row

from tasks.gail.environments import VECTORISED, make

STEPS = 50


def steps(step: Callable[[np.ndarray], object], count: int, choices: int) -> Callable[[], None]:
    actions = np.random.default_rng(0).integers(0, choices, (STEPS, count))

    def call() -> None:
        for row_of_actions in actions:
            step(row_of_actions)

    return call


def candidates(name: str, count: int, choices: int) -> dict[str, Callable[[], object]]:
    dummy = DummyVecEnv([lambda: gymnasium.make(name)] * count)
    vector = gymnasium.make_vec(name, count, vectorization_mode="sync")
    one_by_one, together = (make(name, count=count, seed=0, vectorised=vectorised) for vectorised in (False, True))
    for environments in (dummy, vector, one_by_one, together):
        environments.reset()
    players = {
        "stable-baselines3": dummy.step,
        "gymnasium": vector.step,
        "ours, one by one": one_by_one.step,
        "ours, NumPy": together.step,
    }
    return {who: steps(step, count, choices) for who, step in players.items()}


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    for name, dynamics in VECTORISED.items():
        for count in (8, 32):
            print(f"\n{name}, {count} environments")
            seconds = interleaved(candidates(name, count, int(dynamics().action_space().n)), rounds=rounds)
            for who, values in seconds.items():
                middle, low, high = ratio(seconds, "stable-baselines3", who)
                speed = STEPS * count / sorted(values)[len(values) // 2]
                print(f"{row(who, values)}   {speed:9,.0f} steps/s   x {middle:.2f} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
