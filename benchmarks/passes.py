"""What a training step of WRN-34-10 costs with each attacker, in units of one forward pass of the classifier.

    python benchmarks/passes.py [--rounds N] [--images N] [--size PIXELS] [--device cuda] [--authors CHECKOUT]

Counted in passes, a backward pass to images or to weights costs as much as a forward pass, and the wide attacker's
forward pass 0.27 of the classifier's. With --authors, a checkout of the public code of Jiang et al. 2021 takes its
turn in the same run: its own losses and attacker, on the same classifier.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from timing import interleaved, ratio, row
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bilevel.learned import BatchMax, Direction, Iterate, Wide
from bilevel.play import LeaderFirst
from tasks.vision.data import ImageBatch
from tasks.vision.methods import L2L, Method, Plain, SignSteps
from tasks.vision.networks import WideResNet

EPS = 0.031
ATTACKER = L2L(network=Wide(tapered=True), inputs=(Iterate(), Direction(BatchMax())))
METHODS: dict[str, tuple[Method, int, int]] = {
    "plain": (Plain(), 3, 0),
    "PGM-10": (SignSteps(steps=10), 23, 0),
    "Naive L2L": (replace(ATTACKER, inputs=(Iterate(),)), 3, 3),
    "Grad L2L": (ATTACKER, 5, 3),
    "Grad L2L, alternating": (replace(ATTACKER, play=LeaderFirst()), 9, 4),
    "2-Step L2L": (replace(ATTACKER, steps=2), 7, 6),
}
"""Each method with the passes of the classifier and of the attacker that a step of it takes."""


def sgd(model: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=2e-4)


def ours(method: Method, model: nn.Module, batch: ImageBatch) -> Callable[[], object]:
    solver = method.solver(model, eps=EPS, channels=3, samples=len(batch.y), leader_optimizer=sgd(model))
    return lambda: solver.step(batch)


def theirs(checkout: Path, steps: int, model: nn.Module, batch: ImageBatch) -> Callable[[], object]:
    """Return a step of the authors' training: a pass for the classifier, and another for the attacker."""
    if str(checkout) not in sys.path:
        sys.path.insert(0, str(checkout))
    loss_of: Any = getattr(importlib.import_module("adv_loss"), f"adv_loss_l2l_{steps}")
    attacker = importlib.import_module("attacker").WideAttacker(eps=EPS, input_channel=6).to(batch.x.device)
    players = sgd(model), torch.optim.Adam(attacker.parameters(), lr=1e-3, weight_decay=2e-4)

    def step() -> None:
        for turn, sign in enumerate((1, -1)):
            for part in (players[turn], attacker, model):
                part.zero_grad()
            x = batch.x.clone()  # their loss asks the images for gradients
            (sign * loss_of(model, attacker, x, batch.y, *players, epsilon=EPS, for_attacker=turn)).backward()
            players[turn].step()

    return step


def flops(network: nn.Module, x: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x)
    return counter.get_total_flops()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--authors", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    model = WideResNet(34, 10, 3, 10).to(chosen.device)
    shape = (chosen.images, 3, chosen.size, chosen.size)
    batch = ImageBatch(torch.rand(shape), torch.randint(10, shape[:1]))
    batch = ImageBatch(batch.x.to(chosen.device), batch.y.to(chosen.device))
    if chosen.device != "cpu":  # as trainings there have it
        model = model.to(memory_format=torch.channels_last)
        batch = ImageBatch(batch.x.contiguous(memory_format=torch.channels_last), batch.y)
    share = flops(Wide(tapered=True)(6, 3), torch.rand(2, 6, 32, 32)) / flops(
        copy.deepcopy(model).cpu(), torch.rand(2, 3, 32, 32)
    )
    candidates: dict[str, Callable[[], object]] = {"forward": lambda: model(batch.x).sum()}
    passes = {name: mine + share * attacker for name, (_, mine, attacker) in METHODS.items()}
    for name, (method, *_) in METHODS.items():
        candidates[name] = ours(method, copy.deepcopy(model), batch)
    if chosen.authors:
        for steps, name in ((1, "Grad L2L"), (2, "2-Step L2L")):
            candidates[f"authors' {name}"] = theirs(chosen.authors, steps, copy.deepcopy(model), batch)
            passes[f"authors' {name}"] = 2 * passes[name]
    print(f"WRN-34-10, {chosen.images} images of {chosen.size} x {chosen.size}, {chosen.device}; the wide attacker's "
          f"forward pass has {share:.3f} of the classifier's operations")  # fmt: skip
    seconds = interleaved(candidates, rounds=chosen.rounds, warmup=1)
    print(row("forward", seconds["forward"]))
    for name, count in passes.items():
        middle, low, high = ratio(seconds, name, "forward")
        print(f"{row(name, seconds[name])}   {middle:6.2f} forward passes ({low:.2f} to {high:.2f}); counted "
              f"{count:5.2f}, {middle / count:.2f} of that")  # fmt: skip
    for name in ("Grad L2L", "2-Step L2L"):
        base = "PGM-10"
        middle, low, high = ratio(seconds, name, base)
        print(f"{name} / {base}: {middle:.3f} ({low:.3f} to {high:.3f}); counted {passes[name] / passes[base]:.3f}")
        if chosen.authors:
            middle, low, high = ratio(seconds, f"authors' {name}", name)
            print(f"authors' {name} / ours: {middle:.2f} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
