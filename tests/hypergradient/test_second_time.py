"""The second time that a segment is played: as the first was, unnoticed, and with little memory."""

from __future__ import annotations

import weakref
from itertools import pairwise

import pytest
import torch
import torchopt
from problems import LinearRule, Quadratic
from torch import nn
from torch.nn import functional as F
from unrolled_again import assert_same, gradient_of, solver_of

import bilevel
from bilevel import Checkpointed, Unrolled


class Normed(bilevel.Task):
    """A leader whose statistics absorb each pass, and a random loss."""

    def __init__(self):
        torch.manual_seed(0)
        super().__init__(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.3)).double())
        self.x = torch.randn(5, 3).double()

    def start(self, batch):
        return self.x

    def follower_loss(self, batch, z):
        return self.leader(z).sin().sum() + (z - self.x).square().sum()

    def leader_loss(self, batch, z):
        return F.mse_loss(self.leader(z), self.x)


def test_the_second_time_draws_the_same_and_absorbs_nothing():
    statistics = []
    for method in (Unrolled(), Checkpointed(4)):
        task = Normed()
        gradient_of(task, torchopt.sgd(0.1), method)
        statistics.append(task.leader[1].running_mean)
    assert_same(Normed(), torchopt.sgd(0.1), Checkpointed(4))
    assert torch.equal(*statistics)


def test_the_second_time_is_in_the_modes_of_the_first():
    class Damped(LinearRule):
        def update(self, grads, state, *, params=None, inplace=False):
            return super().update(grads * (2.0 if self.training else 1.0), state, params=params)

    rule = Damped()
    (damped,) = assert_same(Quadratic(), rule.requires_grad_(False))
    assert rule.training
    torch.testing.assert_close(damped, assert_same(Quadratic(), LinearRule().requires_grad_(False))[0])


def test_a_leader_that_moved_in_between_is_noticed():
    task = Quadratic()
    solver = solver_of(task, torchopt.sgd(0.3), Checkpointed())
    rollout = solver.answer_to(None)
    with torch.no_grad():
        task.leader.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        solver.leader_gradient(rollout)


def test_a_point_of_the_tasks_own_gets_no_graph():
    class Fixed(Quadratic):
        def project(self, batch, z):
            return self.c

    task = Fixed()
    (found,), _ = gradient_of(task, torchopt.sgd(0.3), Checkpointed(), steps=1)
    assert task.c.grad_fn is None
    assert not task.c.requires_grad
    torch.testing.assert_close(found, task.slopes_at(task.c)[0])


def peak(method, steps):
    """Return the most bytes that graphs held at one time."""
    held, most = 0, 0

    class Saved:
        def __init__(self, tensor):
            nonlocal held, most
            self.tensor, size = tensor, tensor.nbytes
            held += size
            most = max(most, held)
            weakref.finalize(self, self.release, size)

        @staticmethod
        def release(size):
            nonlocal held
            held -= size

    solver = solver_of(Quadratic(), torchopt.adam(0.1), method, steps=steps)
    with torch.autograd.graph.saved_tensors_hooks(Saved, lambda saved: saved.tensor):
        solver.leader_gradient(solver.answer_to(None))
    return most


def test_memory_grows_as_the_square_root():
    unrolled, checkpointed = ([peak(m, steps) for steps in (16, 64, 256)] for m in (Unrolled(), Checkpointed()))
    assert all(b / a > 3.5 for a, b in pairwise(unrolled))
    assert all(b / a < 2.3 for a, b in pairwise(checkpointed))
