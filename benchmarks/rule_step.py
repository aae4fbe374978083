"""A step of a learned optimizer on a million weights, beside Adam, beside loops over the same cells, and a peer.

    python benchmarks/rule_step.py [--rounds 15] [--peer FOLDER] [--steps 10000]

All candidates take their steps in turn, on one thread, and are timed by its processor time, so that other processes
count little; a ratio is the median of those within rounds.
``--peer`` is a checkout of github.com/yangsenius/learning-to-learn-by-pytorch, whose LSTM is handed inputs that are
preprocessed here, since its own preprocessing fails. ``--steps`` takes so many steps of trained rules and prints the
bytes of live tensors before and after.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from timing import interleaved, ratio, row
from torch import Tensor, nn

from bilevel.learned import LSTM, MLP, LogSign, RuleOptimizer
from tasks.memory import LiveStorages

PREPROCESS = LogSign(10.0)
Step = Callable[[], object]


def wide() -> nn.Module:
    return nn.Sequential(nn.Linear(784, 1000), nn.Linear(1000, 200), nn.Linear(200, 10))


def deep() -> nn.Module:
    return nn.Sequential(*(nn.Linear(158, 158) for _ in range(40)))


def planes(gradient: Tensor) -> Tensor:
    return torch.stack(PREPROCESS(-gradient.reshape(-1)), dim=1)


def loop(parameters: list[nn.Parameter], rule: LSTM, *, each: bool) -> Step:
    """Apply the cells of ``rule`` as anybody would, tensor by tensor or to all coordinates in one call."""
    groups = [[p] for p in parameters] if each else [parameters]
    states = [[tuple(torch.zeros(sum(p.numel() for p in g), rule.hidden) for _ in "hc") for _ in "12"] for g in groups]

    @torch.no_grad()
    def step() -> None:
        for group, state in zip(groups, states, strict=True):
            out = torch.cat([planes(p.grad) for p in group])
            for number, cell in enumerate(rule.cells):
                state[number] = cell(out, state[number])
                out = state[number][0]
            move = rule.scale * rule.output(out)[:, 0]
            for p, part in zip(group, move.split([p.numel() for p in group]), strict=True):
                p.add_(part.reshape(p.shape))

    return step


def peer(folder: str, parameters: list[nn.Parameter]) -> Step:
    sys.path.insert(0, str(Path(folder) / "project"))
    count = sum(p.numel() for p in parameters)
    model = importlib.import_module("CoordinateWiseLSTM").LSTM_optimizer_Model(
        2, 1, 20, 2, count, preprocess=False, output_scale=0.01
    )
    state = None

    @torch.no_grad()
    def step() -> None:
        nonlocal state
        move, state = model(torch.cat([planes(p.grad) for p in parameters]), state)
        for p, part in zip(parameters, move.split([p.numel() for p in parameters]), strict=True):
            p.add_(part.reshape(p.shape))

    return step


def compare(name: str, model: nn.Module, rounds: int, folder: str | None) -> None:
    parameters = list(model.parameters())
    for p in parameters:
        p.grad = torch.randn_like(p)
    print(f"\n{name}: {sum(p.numel() for p in parameters):,} weights in {len(parameters)} tensors")
    fast: dict[str, Step] = {
        "Adam(foreach=False)": torch.optim.Adam(parameters, lr=1e-9, foreach=False).step,
        "MLP(1), layers 8 and 4": RuleOptimizer(parameters, MLP(1), lr=1e-9).step,
        "MLP(1), layer 4": RuleOptimizer(parameters, MLP(1, (4,)), lr=1e-9).step,
    }
    seconds = interleaved(fast, rounds=10 * rounds, clock=time.thread_time)
    for one, values in seconds.items():
        middle, low, high = ratio(seconds, one, "Adam(foreach=False)")
        print(row(one, values), f"  {middle:.2f} of Adam's time ({low:.2f} to {high:.2f})")
    rule = LSTM()
    slow: dict[str, Step] = {
        "LSTM": RuleOptimizer(parameters, rule).step,
        "its cells, tensor by tensor": loop(parameters, rule, each=True),
        "its cells, in one call": loop(parameters, rule, each=False),
    }
    if folder is not None:
        slow["peer"] = peer(folder, parameters)
    seconds = interleaved(slow, rounds=rounds, warmup=1, clock=time.thread_time)
    for one, values in seconds.items():
        middle, low, high = ratio(seconds, one, "LSTM")
        print(row(one, values), f"  {middle:.2f} of the rule's time ({low:.2f} to {high:.2f})")


def hold(steps: int) -> None:
    """Take many steps and say what is held before and after."""
    print(f"\n{steps:,} steps: bytes of live tensors at the peak of the second step, and of the last")
    for name, rule in {"LSTM": LSTM(), "MLP(1)": MLP(1)}.items():
        model = nn.Sequential(nn.Linear(10, 10), nn.Tanh(), nn.Linear(10, 1))
        optimizer = RuleOptimizer(model, rule, lr=1e-3)
        for p in model.parameters():
            p.grad = torch.randn_like(p)
        optimizer.step()
        peaks = []
        for count in (1, steps - 2):
            for _ in range(count - 1):
                optimizer.step()
            live = LiveStorages()
            with live:
                optimizer.step()
            peaks.append((live.peak, live.bytes))
        print(
            f"{name:28s} {peaks[0][0]:,} and {peaks[1][0]:,}; left after the step {peaks[0][1]:,} and {peaks[1][1]:,}"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--peer")
    parser.add_argument("--steps", type=int, default=0)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    compare("three layers", wide(), chosen.rounds, chosen.peer)
    compare("forty layers", deep(), chosen.rounds, chosen.peer)
    if chosen.steps:
        hold(chosen.steps)


if __name__ == "__main__":
    main()
