"""Runs a function in two processes that can train together, and small trainings for them."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, multiprocessing, nn

import bilevel
from bilevel import learned
from bilevel.errors import BilevelError
from bilevel.hypergradient import LeaderGradient
from bilevel.rng import RandomSources

BATCHES, BATCH = 6, 8


def in_two_processes(function: Callable[[int, Path], Any], folder: Path, *, needed: tuple[int, ...] = (0, 1)) -> Any:
    """Return what ``function(rank, folder)`` returns in each of two processes of a gloo group."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.spawn(_enter, args=(function, folder, port), nprocs=2, join=False)
    for process in context.processes:
        process.join(timeout=120)
        assert process.exitcode is not None, "a process hangs"
    return [torch.load(folder / f"result-{rank}.pt", weights_only=False) for rank in needed]


def _enter(rank: int, function: Callable[[int, Path], Any], folder: Path, port: int) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    torch.save(function(rank, folder), folder / f"result-{rank}.pt")
    distributed.destroy_process_group()


class Perturbed(bilevel.MinimaxTask[nn.Module, Any]):
    """Classification of perturbed points, which begin at a random place if there is noise."""

    def __init__(self, leader: nn.Module, noise: float = 0.0, hook: Callable[[], None] | None = None) -> None:
        super().__init__(leader=leader)
        self.noise = noise
        self.hook = hook
        self.visits = 0

    def start(self, batch: Any) -> Tensor:
        if self.hook:
            self.hook()
        self.visits += len(batch[0])
        return batch[0] + self.noise * torch.rand_like(batch[0])

    def project(self, batch: Any, z: Any) -> Tensor:
        return bilevel.linf_ball(z, center=batch[0], radius=0.3)

    def loss(self, batch: Any, z: Any) -> Tensor:
        return nn.functional.cross_entropy(self.leader(z), batch[1])

    def state_dict(self) -> dict[str, Any]:
        return {"visits": self.visits}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.visits = state["visits"]


def solver(*, norm: bool = False, seed: int = 0, **settings: Any) -> bilevel.Solver[Any]:
    """Return a learned rule against a small network, both in float64."""
    torch.manual_seed(seed)
    middle = nn.BatchNorm1d(8) if norm else nn.Tanh()
    leader = nn.Sequential(nn.Linear(5, 8), middle, nn.Linear(8, 3)).double()
    # Of a mean over the share the gradient is larger than of one over the batch: what is scaled by sample is the same.
    inputs = (learned.Iterate(), learned.Direction(learned.SampleRMS()))
    rule = learned.MLP(size=5, hidden=(6,), inputs=inputs).double()
    return bilevel.Solver(
        Perturbed(leader, **settings),
        rule,
        steps=2,
        leader_optimizer=torch.optim.SGD(leader.parameters(), lr=0.1, momentum=0.9),
        rule_optimizer=torch.optim.Adam(rule.parameters(), lr=1e-2),
    )


def batches(rank: int = 0, count: int = 1) -> list[tuple[Tensor, Tensor]]:
    """Return the share of one of ``count`` processes in all batches."""
    draw = torch.Generator().manual_seed(7)
    x = torch.randn(BATCHES, BATCH, 5, generator=draw, dtype=torch.float64)
    y = torch.randint(0, 3, (BATCHES, BATCH), generator=draw)
    share = slice(rank * BATCH // count, (rank + 1) * BATCH // count)
    return [(x[i, share], y[i, share]) for i in range(BATCHES)]


def players(one: bilevel.Solver[Any]) -> dict[str, Tensor]:
    """Return all that both players are made of."""
    return {
        f"{player} {name}": value.clone()
        for player, module in (("leader", one.task.leader), ("rule", one.rule))
        for name, value in module.state_dict().items()
    }


def joined(rank: int, **settings: Any) -> bilevel.Solver[Any]:
    """Return a solver of several processes, which begin with other weights each."""
    one = solver(seed=rank, **settings)
    one.join(bilevel.Together())
    torch.manual_seed(100 + rank)
    return one


def everything(rank: int, folder: Path) -> dict[str, Any]:
    """Do all that two processes do without an end of one of them; the starts of processes are what takes the time."""
    return {
        "steps": _steps(rank),
        "norm": _steps(rank, norm=True),
        "statistics": _statistics(rank),
        "fit": _fit(rank, folder / "whole"),
        "parts": _stopped_and_resumed(rank, folder / "parts"),
        "alone": _resumed_by_fewer(rank, folder / "whole"),
        "nan": _not_finite(rank),
        "taken": _taken(rank, folder / "whole"),
        "refused": _refused(rank),
    }


def _steps(rank: int, **settings: Any) -> dict[str, Tensor]:
    one = joined(rank, **settings)
    for batch in batches(rank, 2):
        one.step(batch)
    return players(one)


def _statistics(rank: int) -> dict[str, Tensor]:
    one = joined(rank, norm=True)
    rollout = one.answer_to(batches(rank, 2)[0])
    one.task.leader[1].reset_running_stats()
    one.task.leader(batches(rank, 2)[0][0])
    one.move_leader(rollout, LeaderGradient(torch.zeros(()), (None,) * 6))
    return players(one)


def _fit(rank: int, folder: Path, **settings: Any) -> dict[str, Any]:
    one = joined(rank, noise=0.1, hook=settings.pop("hook", None))
    done = bilevel.fit(
        one, batches(rank, 2), epochs=2, folder=folder, progress=False, **({"checkpoint_every": 2} | settings)
    )
    return {
        "players": players(one),
        "rows": done.rows,
        "checkpoint": done.checkpoint,
        "random": RandomSources().capture()["torch"],
        "visits": one.task.visits,
    }


def _stopped_and_resumed(rank: int, folder: Path) -> dict[str, Any]:
    calls = iter(range(100))

    def terminated() -> None:
        if next(calls) == 6 and rank == 1:  # in the second process alone, and in the middle of the seventh step
            os.kill(os.getpid(), signal.SIGUSR1)

    message = ""
    try:
        _fit(rank, folder, hook=terminated, check_every=3)
    except KeyboardInterrupt as stopped:
        message = str(stopped)
    return {"message": message, **_fit(rank, folder, resume=True)}


def _not_finite(rank: int) -> str:
    data = batches(rank, 2)
    if rank == 1:
        data[2][0][0, 0] = torch.nan
    return _message(lambda: bilevel.fit(joined(rank), data, epochs=1, progress=False, check_every=3))


def _taken(rank: int, folder: Path) -> str:
    return _message(lambda: bilevel.fit(joined(rank), batches(rank, 2), epochs=1, folder=folder, progress=False))


def _resumed_by_fewer(rank: int, folder: Path) -> str:
    if rank == 1:
        return ""
    return _message(
        lambda: bilevel.fit(solver(noise=0.1), batches(), epochs=2, folder=folder, progress=False, resume=True)
    )


def _refused(rank: int) -> str:
    class Duel(bilevel.MinimaxTask[nn.Parameter, None]):
        def start(self, batch: None) -> Tensor:
            return torch.ones(())

        def loss(self, batch: None, z: Any) -> Tensor:
            return self.leader * z

    x = nn.Parameter(torch.ones(()))
    one = bilevel.Solver(
        Duel(leader=x, lives_on=True), bilevel.rules.Gradient(0.1), leader_optimizer=torch.optim.SGD([x], lr=0.1)
    )
    return _message(lambda: one.join(bilevel.Together()))


def lost(rank: int, folder: Path) -> str:
    """Return the message after the other process was killed in its ninth step."""
    calls = iter(range(100))

    def killed() -> None:
        if next(calls) == 8 and rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    return _message(lambda: _fit(rank, folder / "run", hook=killed))


def _message(function: Callable[[], Any]) -> str:
    try:
        function()
    except BilevelError as error:
        return f"{type(error).__name__}: {error}"
    return ""
