"""Measures the memory of learned optimizers and prints it as JSON: a process of its own, since counting is slow enough
without annotations that are executed."""

from __future__ import annotations

import json
import sys

import torch
from torch import Tensor, nn

import bilevel
from bilevel import learned
from bilevel.learned import RuleOptimizer, lstm_columns
from tasks.memory import LiveStorages, peak_memory

N = 1000


class Bowl(bilevel.Task):
    """The rule leads or not; what it moves are N numbers."""

    def start(self, batch: Tensor) -> Tensor:
        return batch

    def follower_loss(self, batch: Tensor, z: Tensor) -> Tensor:
        return z.square().sum()

    leader_loss = follower_loss


def unroll(steps: int, method: bilevel.Hypergradient | None) -> int:
    """Return the peak of one step of meta-training on ``steps`` updates."""
    torch.manual_seed(0)
    rule, z = learned.LSTM(), torch.ones(N)
    optimizer = torch.optim.SGD(rule.parameters(), lr=1e-9)
    if method is None:
        settings = {"rule_optimizer": optimizer, "rule_loss": bilevel.SummedOverSteps()}
    else:
        settings = {"leader_optimizer": optimizer, "hypergradient": method, "play": bilevel.FollowerFirst()}
    solver = bilevel.Solver(Bowl(None if method is None else rule), rule, steps=steps, **settings)
    return peak_memory(lambda: solver.step(z))


def optimizer(rule: learned.LearnedRule) -> list[tuple[int, int]]:
    """Return the bytes that live, and their peak, in the first ten steps and in the last ten of 10,000."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    stepping, found = RuleOptimizer(network, rule, lr=1e-3), []
    for p in network.parameters():
        p.grad = torch.randn_like(p)
    stepping.step()
    for before in (0, 9_980):
        for _ in range(before):
            stepping.step()
        live = LiveStorages()
        with live:
            for _ in range(10):
                stepping.step()
            found.append((live.bytes, live.peak))
    return found


def main() -> None:
    torch.set_num_threads(1)
    # All columns are worked on at once: fewer operations to count.
    lstm_columns.FORWARD_COLUMNS = lstm_columns.BACKWARD_COLUMNS = N
    z = nn.Parameter(torch.ones(N))
    z.grad = torch.ones(N)
    stepping = RuleOptimizer([z], learned.LSTM())
    stepping.step()
    measured = {
        "unrolls": [unroll(steps, None) for steps in (5, 10, 15)],
        "whole": unroll(36, bilevel.Unrolled(36)),
        "checkpointed": unroll(36, bilevel.Checkpointed(answers=36)),
        "lstm": optimizer(learned.LSTM(2, 1)),
        "mlp": optimizer(learned.MLP(1, (2,))),
        "step": peak_memory(stepping.step),
    }
    sys.stdout.write(json.dumps(measured))


if __name__ == "__main__":
    main()
