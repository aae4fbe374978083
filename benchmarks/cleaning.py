"""What a step of data hyper-cleaning costs with each method, in steps that take turns in one process.

    python benchmarks/cleaning.py [--rounds N] [--preset digits|mnist] [--data-dir FOLDER]

What a run of `bilevel train cleaning` says of its seconds depends on what else the machine did.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, repeat
from typing import Any

import torch
from timing import interleaved, ratio, row

from tasks.cleaning.config import PRESETS
from tasks.cleaning.contestants import Contestant
from tasks.cleaning.setting import Setting, data_of
from tasks.cleaning.train import contestants


def stepper(contestant: Contestant, setting: Setting) -> Callable[[], object]:
    solver = contestant.solver(setting)
    batches: Iterator[Any] = chain.from_iterable(contestant.batches(setting) for _ in repeat(None))
    return lambda: solver.step(next(batches))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--preset", choices=PRESETS, default="digits")
    parser.add_argument("--data-dir")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    config = replace(PRESETS[chosen.preset], data_dir=chosen.data_dir)
    data = data_of(config, 7)
    for model in config.models:
        setting = Setting(config, data, model, 7)
        candidates = {one.name: stepper(one, setting) for one in contestants(config, model)}
        seconds = interleaved(candidates, rounds=chosen.rounds, warmup=1)
        print(f"{chosen.preset}, {model}: {config.inner_steps} updates of the classifier a step")
        for name, values in seconds.items():
            middle, low, high = ratio(seconds, name, "unrolled")
            print(f"{row(name, values)}   / unrolled: {middle:.2f} (95 % interval {low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
