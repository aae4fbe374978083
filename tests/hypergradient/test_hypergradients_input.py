"""What every method keeps of what it is given, and how it names what it cannot use."""

from __future__ import annotations

import pytest
import torch
import torchopt
from hypergradients import ALL

import bilevel


class Typed(bilevel.Task):
    """A leader of two parameters, one of them a scalar, of a given dtype."""

    def __init__(self, dtype):
        draw = torch.Generator().manual_seed(1)
        weight = torch.randn(2, 3, generator=draw).to(dtype)
        super().__init__([torch.nn.Parameter(weight), torch.nn.Parameter(torch.tensor(0.5, dtype=dtype))])

    def start(self, batch):
        return {"u": torch.zeros_like(self.leader[0][0]), "v": torch.zeros_like(self.leader[1])}

    def follower_loss(self, batch, z):
        return (z["u"] - self.leader[0].sum(0)).square().sum() + (z["v"] - self.leader[1]).square()

    def leader_loss(self, batch, z):
        return z["u"].sin().sum() * z["v"] + self.leader[0].square().sum() + self.leader[1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", ALL)
def test_dtype_and_shape_are_kept_and_equal_seeds_give_equal_results(method, dtype):
    def gradient():
        torch.manual_seed(3)
        task = Typed(dtype)
        solver = bilevel.Solver(
            task,
            torchopt.sgd(0.1),
            steps=4,
            leader_optimizer=torch.optim.SGD(task.leader, lr=0.1),
            hypergradient=ALL[method],
        )
        return solver.leader_gradient(solver.answer_to(None)).gradient

    first, second = gradient(), gradient()
    assert [(g.dtype, g.shape) for g in first] == [(dtype, (2, 3)), (dtype, ())]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(g.grad_fn is None for g in first)


class Neither(bilevel.Task):
    def start(self, batch):
        return torch.ones(2)

    def follower_loss(self, batch, z):
        return z.square().sum()

    def leader_loss(self, batch, z):
        return torch.zeros(()) if batch is None else z.sum()


@pytest.mark.parametrize("batch", [None, "z alone"])
@pytest.mark.parametrize("method", [m for m in ALL if m != "evolution strategy"])
def test_a_leaders_loss_that_depends_on_nothing_the_leader_moves_is_named(method, batch):
    """Neither on θ nor on z; or on z, which does not depend on θ."""
    task = Neither(torch.nn.Parameter(torch.ones(2)))
    solver = bilevel.Solver(
        task,
        torchopt.sgd(0.1),
        steps=4,
        leader_optimizer=torch.optim.SGD([task.leader], 0.1),
        hypergradient=ALL[method],
    )
    with pytest.raises(
        bilevel.TaskError, match=r"Neither\.leader_loss (does not depend on any|depends on no) parameter"
    ):
        solver.step(batch)


class Blind(bilevel.Task):
    def start(self, batch):
        return torch.ones(2)

    def follower_loss(self, batch, z):
        return self.leader.sum()

    def leader_loss(self, batch, z):
        return (z * self.leader).sum()


@pytest.mark.parametrize("method", ALL)
def test_a_followers_loss_that_does_not_depend_on_z_is_named(method):
    task = Blind(torch.nn.Parameter(torch.ones(2)))
    solver = bilevel.Solver(
        task,
        torchopt.sgd(0.1),
        steps=4,
        leader_optimizer=torch.optim.SGD([task.leader], 0.1),
        hypergradient=ALL[method],
    )
    with pytest.raises(bilevel.TaskError, match=r"Blind\.follower_loss does not depend on z"):
        solver.step(None)
