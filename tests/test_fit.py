"""The loop itself: what it does to the players, the schedules, and with bad arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import training_cases
from torch import Tensor, nn
from training_cases import BATCHES, EPOCHS, STEPS, same

import bilevel
from bilevel import learned
from bilevel.errors import ConfigurationError
from bilevel.fit import fit


def run(case: training_cases.Case, data: Any, **settings: Any) -> Any:
    return fit(case.solver, data, **({"epochs": 1, "progress": False} | settings))


def test_it_is_a_loop_around_step():
    fitted = training_cases.perturbed()
    fitted.fit(None)
    by_hand = training_cases.perturbed()
    by_hand.solver.task.leader.train()
    for _ in range(EPOCHS):
        for batch in by_hand.data:
            by_hand.solver.step(batch)
            by_hand.step_schedulers[0].step()
        by_hand.schedulers[0].step()
    assert same(training_cases.everything(fitted)["solver"], training_cases.everything(by_hand)["solver"])


def test_what_it_returns():
    case = training_cases.duel()
    fitted = case.fit(None, evaluate=lambda: {"score": np.float32(0.5), "loss": torch.tensor(2.0)})
    assert (fitted.steps, fitted.epochs, fitted.checkpoint, fitted.resumed_from) == (STEPS, EPOCHS, None, None)
    assert fitted.evaluation == {"score": 0.5, "loss": 2.0}
    assert [row["epoch"] for row in fitted.rows] == [1, 2, 3, 4]
    assert [row["step"] for row in fitted.rows] == [6, 12, 18, 24]
    assert fitted.seconds == pytest.approx(sum(row["seconds"] for row in fitted.rows))
    rates = [row["leader_learning_rate"] for row in fitted.rows]
    assert rates == pytest.approx([0.1, 0.09, 0.081, 0.0729])


def test_the_mean_of_an_epoch_is_that_of_its_steps():
    row = run(training_cases.duel(), [torch.ones(3), torch.zeros(3), -torch.ones(3)], check_every=2).rows[0]
    by_hand = training_cases.duel()
    records = [by_hand.solver.step(batch).values() for batch in (torch.ones(3), torch.zeros(3), -torch.ones(3))]
    for name in ("leader_loss", "follower_loss", "leader_gradient_norm"):
        assert row[name] == sum(record[name] for record in records) / 3
    assert "rule_gradient_norm" not in row


def test_evaluation_leaves_no_trace():
    plain = training_cases.perturbed()
    plain.fit(None)
    random_state = torch.get_rng_state()
    evaluated = training_cases.perturbed()
    leader = evaluated.solver.task.leader
    modes = []

    def evaluate() -> dict[str, float]:
        modes.append((leader.training, leader[1].training))
        leader.eval()
        torch.rand(5), np.random.random(5)  # noqa: NPY002
        return {"score": 1.0}

    leader[1].eval()
    evaluated.fit(None, evaluate=evaluate)
    assert modes == [(True, True)] * EPOCHS  # fit puts the leader into training mode, and it stays there
    assert same(evaluated.solver.state_dict(), plain.solver.state_dict())
    assert torch.equal(torch.get_rng_state(), random_state)


def test_modes_come_back_each_to_its_module():
    case = training_cases.perturbed()
    leader = case.solver.task.leader
    modes = []

    def hook(step: int) -> None:
        modes.append(leader[1].training)
        leader[1].eval()  # say, a user who freezes the statistics

    case.solver.task.hook = hook
    run(case, case.data, epochs=3, evaluate=lambda: {"score": float(leader.eval().training)})
    assert modes == [True] + [False] * (3 * BATCHES - 1)
    assert leader[0].training


def test_a_rule_that_is_not_trained_keeps_its_mode():
    leader = nn.Linear(5, 3)
    rule = learned.MLP(size=5).requires_grad_(False).eval()
    solver = bilevel.Solver(
        training_cases.Perturbed(leader.eval(), None),
        rule,
        leader_optimizer=torch.optim.SGD(leader.parameters(), lr=0.1),
    )
    fit(solver, [(torch.zeros(2, 5), torch.zeros(2, dtype=torch.int64))], epochs=1, progress=False)
    assert leader.training
    assert not rule.training


def test_a_failed_evaluation_costs_no_work(tmp_path):
    def evaluate() -> dict[str, float]:
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        training_cases.duel().fit(tmp_path, evaluate=evaluate)
    unbroken = training_cases.duel()
    unbroken.fit(None)
    resumed = training_cases.duel()
    fitted = resumed.fit(tmp_path, resume=True)
    assert fitted.resumed_from.name == f"step-{BATCHES:08d}.pt"
    assert same(resumed.solver.state_dict(), unbroken.solver.state_dict())


@pytest.mark.parametrize("every", [None, 5])
def test_when_checkpoints_are_written(every, tmp_path):
    fitted = training_cases.duel().fit(tmp_path, checkpoint_every=every, keep=100)
    steps = [int(p.stem.removeprefix("step-")) for p in sorted((tmp_path / "checkpoints").iterdir())]
    assert steps == ([0, 6, 12, 18, 24] if every is None else [0, 5, 10, 15, 20, 24])
    assert fitted.checkpoint.name == "step-00000024.pt"


def test_one_epoch_of_an_iterator_is_possible():
    assert run(training_cases.duel(), (torch.zeros(3) for _ in range(3))).steps == 3


class Once:
    """Data that claim to be repeatable and are not."""

    def __init__(self) -> None:
        self.batches = iter([torch.zeros(3)])

    def __iter__(self) -> Any:
        return self.batches


@pytest.mark.parametrize(
    ("data", "settings", "words"),
    [
        ([torch.zeros(3)], {"epochs": 0}, "epochs must be a whole number from 1, got 0"),
        ([torch.zeros(3)], {"epochs": -3}, "got -3"),
        ([torch.zeros(3)], {"epochs": True}, "got True"),
        ([torch.zeros(3)], {"keep": 0}, "keep must be"),
        ([torch.zeros(3)], {"check_every": 0}, "check_every must be"),
        ([torch.zeros(3)], {"checkpoint_every": 0}, "checkpoint_every must be"),
        ([torch.zeros(3)], {"resume": True}, "need a folder"),
        ([torch.zeros(3)], {"checkpoint_every": 5}, "need a folder"),
        ([], {}, "data holds no batch"),
        (iter([]), {}, "data gave no batch in epoch 1"),
        ((torch.zeros(3) for _ in range(3)), {"epochs": 2}, "gone through only once, and epochs is 2"),
        (Once(), {"epochs": 2}, "data gave no batch in epoch 2"),
        ([torch.zeros(3)], {"evaluate": lambda: {"step": 1.0}}, "evaluate returned step"),
    ],
)
def test_bad_arguments(data, settings, words):
    with pytest.raises(ConfigurationError, match=words):
        run(training_cases.duel(), data, **settings)


def test_a_scheduler_that_waits_for_a_number():
    case = training_cases.duel()
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(case.solver.leader_update.optimizer)
    with pytest.raises(ConfigurationError, match="ReduceLROnPlateau"):
        run(case, [torch.zeros(3)], schedulers=[plateau])


def test_a_file_in_the_folders_place(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(ConfigurationError, match="run is a file"):
        run(training_cases.duel(), [torch.zeros(3)], folder=tmp_path / "run")


class Still(bilevel.FollowerTask[None, Tensor]):
    """Nobody leads."""

    def start(self, batch: Tensor) -> Tensor:
        return torch.ones(2)

    def follower_loss(self, batch: Tensor, z: Any) -> Tensor:
        return (z * batch).square().sum()


def test_nobody_leads(tmp_path):
    for resume in (False, True):
        rule = learned.MLP(size=2)
        solver = bilevel.Solver(Still(None), rule, rule_optimizer=torch.optim.Adam(rule.parameters()))
        fitted = fit(solver, [torch.ones(2)] * 3, epochs=2, folder=tmp_path, resume=resume, progress=False)
        assert fitted.steps == 6
    header = (tmp_path / "metrics.csv").read_text().splitlines()[0]
    assert header == "epoch,step,follower_loss,rule_gradient_norm,rule_learning_rate,seconds"
