"""What `Solver.step` costs beyond a hand-written loop that does the same passes.

    python benchmarks/overhead.py [ROUNDS]

Both run in turn in one process, on copies of the same model and data, which are made anew several times: where their
weights happen to lie in memory moves a ratio by a few percent. The numbers that a record holds (two losses and
two gradient norms) are computed by the solver only, so their cost is part of the overhead.
"""

from __future__ import annotations

import copy
import statistics
import sys
from collections.abc import Callable

import torch
from timing import interleaved, ratio, row
from torch import Tensor, nn
from torch.nn import functional

import bilevel
from bilevel.learned import BatchMax, Convolutional, Direction, Iterate, Small
from bilevel.rules import SignGradient
from tasks.vision.data import ImageBatch
from tasks.vision.games import RobustClassification, Terms
from tasks.vision.networks import SmallConvNet

EPS = 0.2
BUILDS = 9
INPUTS = (Iterate(), Direction(BatchMax()))


def sgd(model: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=2e-4)


def project(z: Tensor, x: Tensor) -> Tensor:
    return (x + (z - x).clamp(-EPS, EPS)).clamp(0, 1)


def input_gradient(model: nn.Module, z: Tensor, y: Tensor) -> Tensor:
    z = z.detach().requires_grad_()
    return torch.autograd.grad(functional.cross_entropy(model(z), y), z)[0]


def freeze(model: nn.Module, *, frozen: bool) -> None:
    for p in model.parameters():
        p.requires_grad_(not frozen)


def pgm_by_hand(model: nn.Module, batch: ImageBatch, steps: int) -> Callable[[], None]:
    optimizer = sgd(model)

    def step() -> None:
        z = batch.x
        freeze(model, frozen=True)
        model.eval()
        for _ in range(steps):
            z = project(z + 0.05 * input_gradient(model, z, batch.y).sign(), batch.x)
        freeze(model, frozen=False)
        model.train()
        optimizer.zero_grad()
        functional.cross_entropy(model(z), batch.y).backward()
        optimizer.step()

    return step


def grad_l2l_by_hand(model: nn.Module, rule: Convolutional, batch: ImageBatch) -> Callable[[], None]:
    optimizer, rule_optimizer = sgd(model), torch.optim.Adam(rule.parameters())
    phi = list(rule.parameters())

    def step() -> None:
        freeze(model, frozen=True)
        model.eval()
        gradient = input_gradient(model, batch.x, batch.y)
        freeze(model, frozen=False)
        model.train()
        planes = torch.cat([batch.x, gradient / gradient.abs().max()], 1)
        z = project(batch.x + EPS * torch.tanh(rule.network(planes)), batch.x)
        optimizer.zero_grad()
        rule_optimizer.zero_grad()
        functional.cross_entropy(model(z), batch.y).backward()
        for p in phi:
            p.grad.neg_()
        optimizer.step()
        rule_optimizer.step()

    return step


def candidates() -> dict[str, Callable[[], object]]:
    """Return a solver and a loop by hand for each method, on new copies of one model."""
    batch = ImageBatch(torch.rand(128, 1, 8, 8), torch.randint(10, (128,)))
    model, rule = SmallConvNet(1, 10), Convolutional(1, network=Small(width=16), scale=EPS, inputs=INPUTS)
    made: dict[str, Callable[[], object]] = {}
    for steps in (1, 3):
        mine, theirs = copy.deepcopy(model), copy.deepcopy(model)
        solver = bilevel.Solver(
            RobustClassification(mine, Terms(EPS)),
            SignGradient(0.05),
            steps=steps,
            leader_optimizer=sgd(mine),
        )
        made[f"PGM-{steps} solver"] = lambda s=solver: s.step(batch)
        made[f"PGM-{steps} by hand"] = pgm_by_hand(theirs, batch, steps)
    mine, theirs, my_rule, their_rule = map(copy.deepcopy, (model, model, rule, rule))
    solver = bilevel.Solver(
        RobustClassification(mine, Terms(EPS)),
        my_rule,
        leader_optimizer=sgd(mine),
        rule_optimizer=torch.optim.Adam(my_rule.parameters()),
    )
    made["Grad L2L solver"] = lambda: solver.step(batch)
    made["Grad L2L by hand"] = grad_l2l_by_hand(theirs, their_rule, batch)
    return made


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    ratios: dict[str, list[float]] = {"PGM-1": [], "PGM-3": [], "Grad L2L": []}
    for build in range(1, BUILDS + 1):
        seconds = interleaved(candidates(), rounds=rounds, seed=build)
        for name, found in ratios.items():
            found.append(ratio(seconds, f"{name} solver", f"{name} by hand")[0])
        if build == BUILDS:
            for name, values in seconds.items():
                print(row(name, values))
    for name, found in ratios.items():
        print(
            f"{name:10s} solver / by hand: median of {BUILDS} builds {statistics.median(found):.3f} "
            f"(least {min(found):.3f}, most {max(found):.3f})"
        )


if __name__ == "__main__":
    main()
