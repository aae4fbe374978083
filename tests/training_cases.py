"""Small trainings in which every kind of state matters; as a script, each of them is killed and resumed."""

from __future__ import annotations

import csv
import os
import random
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchopt
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import bilevel
from bilevel import learned
from bilevel.fit import fit
from bilevel.rng import RandomSources

EPOCHS, BATCHES = 4, 6
STEPS = EPOCHS * BATCHES


@dataclass
class Case:
    solver: bilevel.Solver[Any]
    data: Any
    schedulers: list[Any]
    step_schedulers: list[Any]

    def fit(self, folder: Path | None, **settings: Any) -> Any:
        return fit(
            self.solver,
            self.data,
            epochs=EPOCHS,
            folder=folder,
            schedulers=self.schedulers,
            step_schedulers=self.step_schedulers,
            **({"progress": False, "check_every": 4} | settings),
        )


Hook = Callable[[int], None]
"""Called in the middle of a step with its number, from 1."""


class Perturbed(bilevel.MinimaxTask[nn.Module, Any]):
    """Classification of perturbed points; the follower's start and the leader's dropout are random."""

    def __init__(self, leader: nn.Module, hook: Hook | None) -> None:
        super().__init__(leader=leader)
        self.hook = hook
        self.solver: bilevel.Solver[Any] | None = None

    def start(self, batch: Any) -> Tensor:
        if self.hook and self.solver:
            self.hook(self.solver.step_count + 1)
        return batch[0] + 0.05 * torch.rand_like(batch[0])

    def project(self, batch: Any, z: Any) -> Tensor:
        return bilevel.linf_ball(z, center=batch[0], radius=0.2)

    def loss(self, batch: Any, z: Any) -> Tensor:
        return nn.functional.cross_entropy(self.leader(z), batch[1])


def _seed() -> None:
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)


def augmented(samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Draw from the global generators of torch and NumPy while a batch is made."""
    x = torch.stack([x for x, _ in samples])
    x = x + 0.1 * torch.randn_like(x) + float(np.random.normal(scale=0.1))  # noqa: NPY002
    return x, torch.stack([y for _, y in samples])


def augmented_by_all(samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Draw from Python's generator too; not for tests with executed annotations, whose checker draws from it."""
    x, y = augmented(samples)
    return x + random.gauss(0, 0.1), y


def perturbed(
    hook: Hook | None = None, generator: torch.Generator | None = None, collate: Any = augmented, workers: int = 0
) -> Case:
    """Return a learned rule against a network with batch norm and dropout: both optimizers and two schedulers."""
    _seed()
    points = TensorDataset(torch.randn(4 * BATCHES, 5), torch.arange(4 * BATCHES) % 3)
    data = DataLoader(points, batch_size=4, shuffle=True, collate_fn=collate, generator=generator, num_workers=workers)
    leader = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))
    rule = learned.MLP(size=5, hidden=(6,))
    leader_optimizer = torch.optim.SGD(leader.parameters(), lr=0.1, momentum=0.9)
    rule_optimizer = torch.optim.Adam(rule.parameters(), lr=1e-2)
    task = Perturbed(leader, hook)
    solver = bilevel.Solver(task, rule, steps=2, leader_optimizer=leader_optimizer, rule_optimizer=rule_optimizer)
    task.solver = solver
    return Case(
        solver,
        data,
        [torch.optim.lr_scheduler.MultiStepLR(leader_optimizer, [1, 3])],
        [torch.optim.lr_scheduler.OneCycleLR(rule_optimizer, 1e-2, total_steps=STEPS)],
    )


class Duel(bilevel.MinimaxTask[nn.Parameter, Any]):
    """min over x, max over y of xy plus noise; y, a pytree, lives on."""

    def __init__(self, leader: nn.Parameter, hook: Hook | None) -> None:
        super().__init__(leader=leader, lives_on=True)
        self.hook = hook
        self.solver: bilevel.Solver[Any] | None = None

    def start(self, batch: Any) -> dict[str, Tensor]:
        return {"y": torch.randn(3), "rest": torch.ones(())}

    def loss(self, batch: Any, z: Any) -> Tensor:
        if self.hook and self.solver:
            self.hook(self.solver.step_count + 1)
        return (
            (self.leader * z["y"]).sum() + z["rest"] * self.leader.sum() + (batch * self.leader * torch.rand(3)).sum()
        )


def duel(hook: Hook | None = None) -> Case:
    """Return a follower that lives on and moves by TorchOpt's Adam, whose state is made of named tuples."""
    _seed()
    leader = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([leader], lr=0.1)
    task = Duel(leader, hook)
    solver = bilevel.Solver(task, torchopt.adam(0.05), steps=2, leader_optimizer=optimizer)
    task.solver = solver
    data = DataLoader(TensorDataset(torch.randn(BATCHES, 3)), batch_size=1, shuffle=True, collate_fn=lambda s: s[0][0])
    return Case(solver, data, [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)], [])


def everything(case: Case) -> dict[str, Any]:
    """Return all that a training has changed."""
    return {
        "solver": case.solver.state_dict(),
        "schedulers": [s.state_dict() for s in [*case.schedulers, *case.step_schedulers]],
        "random": RandomSources.of(case.data).capture(),
    }


def same(one: Any, other: Any) -> bool:
    """Whether two trees are equal to the last bit."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return type(one) is type(other) and one == other


def logged(folder: Path) -> list[dict[str, str]]:
    """Return the rows of a run's log without the times."""
    with (folder / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


CASES: dict[str, Callable[..., Case]] = {"duel": duel, "perturbed": partial(perturbed, collate=augmented_by_all)}


def killed_at(step: int) -> Hook:
    """Return a hook that kills the process, as a power cut would, in the middle of ``step``."""

    def hook(number: int) -> None:
        if number == step:
            os.kill(os.getpid(), signal.SIGKILL)

    return hook


def kill_and_resume(name: str, folder: Path, step: int, every: int) -> None:
    """Train in a process that is killed, resume in this one, and compare with a training that was not."""
    child = os.fork()
    if child == 0:
        CASES[name](killed_at(step)).fit(folder / "killed", checkpoint_every=every)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL, "the process was not killed"
    unbroken = CASES[name]()
    unbroken.fit(folder / "unbroken")
    end = everything(unbroken)
    resumed = CASES[name]()
    torch.rand(17)  # a new process need not have drawn the same
    fitted = resumed.fit(folder / "killed", resume=True, checkpoint_every=every)
    assert fitted.resumed_from.name == f"step-{(step - 1) // every * every:08d}.pt", fitted.resumed_from
    assert (fitted.steps, fitted.epochs) == (STEPS, EPOCHS)
    assert same(everything(resumed), end), "the resumed training is another one"
    assert logged(folder / "killed") == logged(folder / "unbroken")


if __name__ == "__main__":
    torch.set_num_threads(1)
    path, step, every = sys.argv[1:]
    for case in CASES:
        kill_and_resume(case, Path(path) / case, int(step), int(every))
        sys.stdout.write(f"the same: {case}\n")
