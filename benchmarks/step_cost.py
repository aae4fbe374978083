"""What a training step costs with each attacker, beside PGM-10's.

    python benchmarks/step_cost.py [ROUNDS]

Two sizes: digits (8 x 8 images, the small classifier) and images of 32 x 32 (WRN-16-2). The learned attacker is as
wide as it takes to have about a third of the classifier's floating-point operations, both counted.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from dataclasses import replace

import torch
from timing import interleaved, ratio, row
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bilevel.learned import Small
from bilevel.starts import Uniform
from tasks.vision.data import ImageBatch
from tasks.vision.methods import L2L, Method, Plain, SignSteps
from tasks.vision.networks import SmallConvNet, WideResNet

METHODS: dict[str, Method] = {
    "plain": Plain(),
    "FGSM-RS": SignSteps(steps=1, step=1.25, start=Uniform(1.0)),
    "PGM-2": SignSteps(steps=2, step=0.75, start=Uniform(1.0)),
    "PGM-3": SignSteps(steps=3, step=0.75, start=Uniform(1.0)),
    "PGM-10": SignSteps(steps=10),
    "Grad L2L": L2L(),
    "2-Step L2L": L2L(steps=2),
}


def operations(network: nn.Module, channels: int, size: int) -> int:
    with FlopCounterMode(display=False) as counter:
        network.eval()(torch.rand(2, channels, size, size))
    return counter.get_total_flops()


def run(
    title: str, model: nn.Module, attacker: Small, *, channels: int, size: int, batch_size: int, rounds: int
) -> None:
    network = attacker(2 * channels, channels)
    share = operations(network, 2 * channels, size) / operations(model, channels, size)
    print(f"\n{title}: batch {batch_size}, {attacker}, {share:.2f} of the classifier's operations")
    model.train()
    batch = ImageBatch(torch.rand(batch_size, channels, size, size), torch.randint(10, (batch_size,)))
    candidates: dict[str, Callable[[], object]] = {}
    for name, method in METHODS.items():
        mine = copy.deepcopy(model)
        chosen = replace(method, network=attacker) if isinstance(method, L2L) else method
        optimizer = torch.optim.SGD(mine.parameters(), lr=0.01, momentum=0.9, weight_decay=2e-4)
        solver = chosen.solver(mine, eps=0.1, channels=channels, samples=batch_size, leader_optimizer=optimizer)
        candidates[name] = lambda solver=solver: solver.step(batch)
    seconds = interleaved(candidates, rounds=rounds)
    for name, values in seconds.items():
        middle, low, high = ratio(seconds, name, "PGM-10")
        print(f"{row(name, values)}   / PGM-10: {middle:.3f} (95 % interval {low:.3f} to {high:.3f})")


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    small, large = Small(width=16, depth=3), Small(width=40, depth=3)
    run("Digits", SmallConvNet(1, 10), small, channels=1, size=8, batch_size=64, rounds=5 * rounds)
    run("32 x 32", WideResNet(16, 2, 3, 10), large, channels=3, size=32, batch_size=32, rounds=max(5, rounds // 4))


if __name__ == "__main__":
    main()
