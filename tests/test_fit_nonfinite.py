"""A number that is not finite stops training, is named, and is in no checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import training_cases
from torch import Tensor, nn

import bilevel
from bilevel import learned
from bilevel.checkpoint import CheckpointFolder, read
from bilevel.errors import NonFiniteError
from bilevel.fit import fit
from bilevel.monitor import require_finite_players
from tasks.memory import peak_memory

STEP = 7


class Poisoned(bilevel.Task[nn.Parameter, Tensor]):
    """At one step something of it is not finite."""

    def __init__(self, leader: nn.Parameter, where: str) -> None:
        super().__init__(leader=leader)
        self.where = where
        self.solver: bilevel.Solver[Any] | None = None

    def poison(self, where: str) -> bool:
        assert self.solver is not None
        return self.where == where and self.solver.step_count + 1 == STEP

    def start(self, batch: Tensor) -> Tensor:
        return torch.zeros(2)

    def leader_loss(self, batch: Tensor, z: Any) -> Tensor:
        loss = (self.leader * batch).square().sum() + (self.leader * z).sum()
        if self.poison("leader_gradient"):
            return loss + (self.leader * 0).sum().sqrt()  # 0, with a gradient of 0/0
        return loss * float("inf") if self.poison("leader_loss") else loss

    def follower_loss(self, batch: Tensor, z: Any) -> Tensor:
        loss = (z - self.leader.detach()).square().sum()
        if self.poison("rule_gradient"):
            return loss + (z * 0).sum().sqrt()
        return loss * float("nan") if self.poison("follower_loss") else loss


def poisoned(where: str, rate: float = 0.01) -> bilevel.Solver[Any]:
    leader = nn.Parameter(torch.ones(2))
    task = Poisoned(leader, where)
    rule = learned.MLP(size=2, hidden=(3,), inputs=(learned.Iterate(),))
    solver: bilevel.Solver[Any] = bilevel.Solver(
        task,
        rule,
        leader_optimizer=torch.optim.SGD([leader], lr=rate),
        rule_optimizer=torch.optim.Adam(rule.parameters()),
    )
    task.solver = solver
    return solver


DATA = [torch.ones(2)] * 4
PLACES = {
    "leader_loss": "the leader's loss is inf",
    "leader_gradient": "the norm of the leader's gradient is nan",
    "follower_loss": "the follower's loss is nan",
    "rule_gradient": "the norm of the gradient of the follower's rule is nan",
}


def assert_all_finite(folder: Path) -> None:
    files = CheckpointFolder(folder / "checkpoints").files()
    assert files
    for path in files:
        solver = read(path)["solver"]
        assert all(torch.isfinite(p).all() for p in [*solver["leader"], *solver["rule"].values()])


@pytest.mark.parametrize("where", sorted(PLACES))
@pytest.mark.parametrize("check_every", [1, 3, 1000])
def test_step_and_player_are_named(where, check_every, tmp_path):
    with pytest.raises(NonFiniteError) as caught:
        fit(
            poisoned(where),
            DATA,
            epochs=5,
            folder=tmp_path,
            check_every=check_every,
            checkpoint_every=3,
            resume_hint="bilevel resume RUN",
            progress=False,
        )
    message = str(caught.value)
    assert message.startswith(f"Step {STEP}: ")
    assert PLACES[where] in message
    assert "step-00000006.pt" in message
    assert "bilevel resume RUN" in message
    others = set(PLACES.values()) - {PLACES[where]}
    if where.endswith("gradient"):  # a loss that is not finite has such a gradient as well
        assert not any(other in message for other in others)
    assert_all_finite(tmp_path)


def test_without_a_folder():
    solver = poisoned("leader_loss")
    with pytest.raises(NonFiniteError, match=rf"Step {STEP}: .*no folder was given"):
        fit(solver, DATA, epochs=5, check_every=2, progress=False)
    assert solver.step_count == 8  # the first check after it


def test_a_step_that_is_too_long(tmp_path):
    """The gradient is finite, the point that it leads to is not: no record shows it, and no checkpoint may hold it."""
    with pytest.raises(NonFiniteError, match=r"Step 1: after it the leader has entries.*step-00000000\.pt"):
        fit(poisoned("nowhere", rate=3e38), DATA[:1], epochs=1, folder=tmp_path, progress=False)
    assert_all_finite(tmp_path)


def test_a_nan_stays_a_nan_for_the_evaluation(tmp_path):
    """An evaluation's number is the user's affair: it is logged as it is."""
    case = training_cases.duel()
    fitted = case.fit(tmp_path, evaluate=lambda: {"score": float("nan")})
    assert fitted.evaluation["score"] != fitted.evaluation["score"]
    assert (tmp_path / "metrics.csv").read_text().splitlines()[-1].endswith(",nan")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_one_entry_of_a_large_player_is_found_without_a_copy_of_it(bad: float, dtype: torch.dtype) -> None:
    task = Empty(nn.Parameter(torch.randn(300, 100).to(dtype)), lives_on=True)
    solver = bilevel.Solver(task, bilevel.rules.Stay(), leader_optimizer=Nothing())
    solver.step(None)  # an answer without entries is a player too
    assert peak_memory(lambda: require_finite_players(solver)) < 1000
    with torch.no_grad():
        task.leader[-1, -1] = bad
    with pytest.raises(NonFiniteError, match="the leader has entries that are not finite"):
        require_finite_players(solver)


class Empty(bilevel.FollowerTask[nn.Parameter, None]):
    def start(self, batch: None) -> Tensor:
        return torch.zeros(0)

    def follower_loss(self, batch: None, z: Tensor) -> Tensor:
        return z.sum()


class Nothing(bilevel.LeaderUpdate):
    uses_gradient = False

    def parameters(self, leader: Any) -> list[Tensor]:
        return []

    def update(self, batch: None, answer: Tensor, gradient: None) -> None:
        pass

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass
