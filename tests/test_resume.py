"""A training that was stopped and resumed is, to the last bit, the one that was never stopped."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
import training_cases
from training_cases import BATCHES, STEPS, logged, same

from bilevel.checkpoint import CheckpointFolder
from bilevel.errors import CheckpointError, ConfigurationError


def everything(case: training_cases.Case) -> dict[str, Any]:
    """All but the state of Python's generator, from which the checker of the annotations draws."""
    state = training_cases.everything(case)
    del state["random"]["python"]
    return state


def evaluation(case: training_cases.Case) -> Any:
    """An evaluation that draws random numbers and changes the leader's mode."""

    def evaluate() -> dict[str, float]:
        if isinstance(case.solver.task.leader, torch.nn.Module):
            case.solver.task.leader.eval()
        return {"draw": float(torch.rand(())) + np.random.random()}  # noqa: NPY002

    return evaluate


def test_killed_and_resumed(tmp_path):
    seed = random.SystemRandom().randrange(10**6)
    step, every = random.Random(seed).randrange(1, STEPS + 1), random.Random(seed).randrange(1, 6)
    case = f"seed {seed}: killed in step {step}, a checkpoint every {every} steps"
    # In a process of its own, where nothing but the training draws random numbers.
    command = [sys.executable, training_cases.__file__, str(tmp_path), str(step), str(every)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{case}\n{done.stderr}"
    assert done.stdout.splitlines() == ["the same: duel", "the same: perturbed"]


class Stop(Exception):
    pass


def stopping_at(step: int) -> training_cases.Hook:
    def hook(number: int) -> None:
        if number == step:
            raise Stop

    return hook


@pytest.mark.parametrize("step", [1, BATCHES, BATCHES + 1, 2 * BATCHES + 2])
def test_every_place_in_an_epoch(step, tmp_path):
    unbroken = training_cases.perturbed()
    unbroken.fit(tmp_path / "unbroken", evaluate=evaluation(unbroken))
    end = everything(unbroken)
    broken = training_cases.perturbed(stopping_at(step))
    with pytest.raises(Stop):
        broken.fit(tmp_path / "broken", evaluate=evaluation(broken), checkpoint_every=1)
    resumed = training_cases.perturbed()
    resumed.fit(tmp_path / "broken", evaluate=evaluation(resumed), resume=True)
    assert same(everything(resumed), end)
    assert logged(tmp_path / "broken") == logged(tmp_path / "unbroken")


def test_order_from_a_generator_of_the_data(tmp_path):
    unbroken = training_cases.perturbed(generator=torch.Generator().manual_seed(5))
    unbroken.fit(None)
    end = everything(unbroken)
    broken = training_cases.perturbed(stopping_at(9), generator=torch.Generator().manual_seed(5))
    with pytest.raises(Stop):
        broken.fit(tmp_path, checkpoint_every=4)
    resumed = training_cases.perturbed(generator=torch.Generator().manual_seed(6))
    resumed.fit(tmp_path, resume=True)
    assert same(everything(resumed), end)


def test_batches_from_other_processes(tmp_path):
    """The workers draw random numbers as well, and make batches before they are asked for."""
    unbroken = training_cases.perturbed(workers=2)
    unbroken.fit(None)
    end = everything(unbroken)
    broken = training_cases.perturbed(stopping_at(9), workers=2)
    with pytest.raises(Stop):
        broken.fit(tmp_path, checkpoint_every=4)
    resumed = training_cases.perturbed(workers=2)
    resumed.fit(tmp_path, resume=True)
    assert same(everything(resumed), end)


def test_a_finished_run_is_not_trained_again(tmp_path):
    case = training_cases.duel()
    first = case.fit(tmp_path, evaluate=evaluation(case))
    state = everything(case)
    again = training_cases.duel()
    second = again.fit(tmp_path, resume=True)
    assert same(everything(again), state)
    assert second.rows == ()
    assert (second.steps, second.seconds, second.evaluation) == (first.steps, first.seconds, first.evaluation)
    assert len(logged(tmp_path)) == training_cases.EPOCHS


def test_resume_of_nothing_begins(tmp_path):
    case, other = training_cases.duel(), training_cases.duel()
    torch.manual_seed(3)
    fitted = case.fit(tmp_path / "new", resume=True)
    torch.manual_seed(3)
    other.fit(None)
    assert fitted.resumed_from is None
    assert same(case.solver.state_dict(), other.solver.state_dict())


def test_an_old_run_is_never_overwritten(tmp_path):
    training_cases.duel().fit(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ConfigurationError, match=r"step-00000024\.pt.*go on with it.*choose another folder"):
        training_cases.duel().fit(tmp_path)
    for path in (tmp_path / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(ConfigurationError, match=r"metrics\.csv is the log of an earlier run"):
        training_cases.duel().fit(tmp_path)
    assert (tmp_path / "metrics.csv").read_bytes() == before[tmp_path / "metrics.csv"]


def test_a_damaged_checkpoint_is_passed_over_and_that_is_said(tmp_path):
    unbroken = training_cases.duel()
    unbroken.fit(None)
    broken = training_cases.duel(stopping_at(9))
    with pytest.raises(Stop):
        broken.fit(tmp_path, checkpoint_every=4)
    *_, good, last = CheckpointFolder(tmp_path / "checkpoints").files()
    last.write_bytes(last.read_bytes()[:-100])
    resumed = training_cases.duel()
    with pytest.warns(UserWarning, match=rf"{last.name} is damaged.*{good.name} instead"):
        fitted = resumed.fit(tmp_path, resume=True)
    assert fitted.resumed_from == good
    assert same(resumed.solver.state_dict(), unbroken.solver.state_dict())


def test_what_a_killed_process_was_writing_is_removed(tmp_path):
    training_cases.duel().fit(tmp_path)
    half = tmp_path / "checkpoints" / ".step-00000030.pt.tmp"
    half.write_bytes(b"half")
    training_cases.duel().fit(tmp_path, resume=True)
    assert not half.exists()


def test_a_checkpoint_of_another_training(tmp_path):
    training_cases.duel().fit(tmp_path)
    with pytest.raises(CheckpointError, match="another"):
        training_cases.perturbed().fit(tmp_path, resume=True)
    fewer = training_cases.duel()
    fewer.schedulers = []
    with pytest.raises(CheckpointError, match="has 1 schedulers, this call has 0"):
        fewer.fit(tmp_path, resume=True)


def test_data_that_became_shorter(tmp_path):
    broken = training_cases.duel(stopping_at(6))
    with pytest.raises(Stop):
        broken.fit(tmp_path, checkpoint_every=1)
    resumed = training_cases.duel()
    resumed.data = [torch.zeros(3)] * 2
    with pytest.raises(CheckpointError, match="after batch 5 of epoch 1, but the data end after 2"):
        resumed.fit(tmp_path, resume=True)


class Average:
    """A part of the user's own: a running mean of the leader."""

    def __init__(self, leader: torch.Tensor) -> None:
        self.leader, self.mean = leader, torch.zeros(3)

    def update(self) -> dict[str, float]:
        self.mean = 0.5 * self.mean + 0.5 * self.leader.detach()
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self.mean}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.mean = state_dict["mean"]


def test_extras_are_kept(tmp_path):
    means = []
    for step in (None, 15):
        case = training_cases.duel(stopping_at(step) if step else None)
        average = Average(case.solver.task.leader)
        settings = {"evaluate": average.update, "extras": {"average": average}}
        folder = tmp_path / str(step)
        if step:
            with pytest.raises(Stop):
                case.fit(folder, **settings)
            case = training_cases.duel()
            average = Average(case.solver.task.leader)
            settings = {"evaluate": average.update, "extras": {"average": average}}
        case.fit(folder, resume=bool(step), **settings)
        means.append(average.mean)
    assert torch.equal(*means)
    with pytest.raises(CheckpointError, match="extras"):
        training_cases.duel().fit(tmp_path / "15", resume=True)
