"""Batches that depend on the players are not made a second time."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import bilevel
from bilevel.data import MadeByPlayers


class Line(bilevel.MinimaxTask):
    """The leader's number times the follower's, which begins at the batch."""

    def __init__(self):
        super().__init__(leader=nn.Parameter(torch.ones(1)))

    def start(self, batch):
        return batch

    def loss(self, batch, z):
        return (self.leader * z).sum() + 0.5 * self.leader.square().sum()


class Played:
    """Three batches an epoch, each the leader's number at the moment it is asked for."""

    def __init__(self, task):
        self.task = task
        self.asked = []
        self.made = []

    def __len__(self):
        return 3

    def __iter__(self):
        return self.batches_after(0)

    def batches_after(self, count):
        self.asked.append(count)
        for _ in range(count, 3):
            self.made.append(self.task.leader.item())
            yield self.task.leader.detach().clone()


class Stop(Exception):
    pass


def training(folder, *, stop_at=None, resume=False):
    task = Line()
    data = Played(task)
    solver = bilevel.Solver(
        task, bilevel.rules.Gradient(0.1), leader_optimizer=torch.optim.SGD([task.leader], lr=0.1, momentum=0.5)
    )

    def stop():
        if solver.step_count == stop_at:
            raise Stop

    settings = {"folder": folder, "checkpoint_every": 1, "after_step": [stop], "progress": False, "resume": resume}
    if stop_at is None:
        bilevel.fit(solver, data, epochs=3, **settings)
    else:
        with pytest.raises(Stop):
            bilevel.fit(solver, data, epochs=3, **settings)
    return data, task.leader.item()


def test_a_resumed_training_asks_for_what_follows(tmp_path):
    """Stopped in step 6, the last of the second epoch; the checkpoint is of step 5, after two of its three batches."""
    straight, end = training(tmp_path / "straight")
    assert isinstance(straight, MadeByPlayers)
    assert straight.asked == [0, 0, 0]
    broken, _ = training(tmp_path / "broken", stop_at=6)
    assert broken.made == straight.made[:6]
    resumed, again = training(tmp_path / "broken", resume=True)
    assert resumed.asked == [2, 0]
    assert resumed.made == straight.made[5:]
    assert again == end


def test_a_checkpoint_after_the_last_batch_of_an_epoch_asks_for_none(tmp_path):
    straight, end = training(tmp_path / "straight")
    training(tmp_path / "broken", stop_at=7)
    kept = sorted((tmp_path / "broken" / "checkpoints").glob("*.pt"))
    assert kept[-1].name == "step-00000006.pt"
    resumed, again = training(tmp_path / "broken", resume=True)
    assert resumed.asked == [3, 0]
    assert resumed.made == straight.made[6:]
    assert again == end


def test_a_list_is_gone_through_as_ever():
    assert not isinstance([1, 2], MadeByPlayers)
