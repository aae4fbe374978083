"""Gradients of bounded length."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import bilevel
from bilevel.errors import ConfigurationError, NonFiniteError
from bilevel.rules.stay import Stay


class Linear(bilevel.MinimaxTask[nn.Module, torch.Tensor]):
    """The leader's gradient is the batch itself."""

    def start(self, batch):
        return torch.zeros(1, dtype=batch.dtype)

    def loss(self, batch, z):
        return (self.leader.weight * batch).sum() + 0 * z.sum()


def moved(gradient, limit):
    leader = nn.Linear(2, 2, bias=False).double()
    optimizer = torch.optim.SGD(leader.parameters(), lr=1.0)
    optimizer.register_step_pre_hook(bilevel.ClipNorm(limit))
    before = leader.weight.detach().clone()
    solver = bilevel.Solver(Linear(leader=leader), Stay(), leader_optimizer=optimizer)
    record = solver.step(gradient)
    return before - leader.weight.detach(), record


def test_a_long_gradient_is_shortened_and_a_short_one_is_not():
    gradient = torch.tensor([[3.0, 0.0], [0.0, 4.0]], dtype=torch.float64)
    step, record = moved(gradient, 2.0)
    torch.testing.assert_close(step, gradient * 2 / 5, rtol=1e-6, atol=0)
    assert record.values()["leader_gradient_norm"] == pytest.approx(5)
    step, _ = moved(gradient, 6.0)
    torch.testing.assert_close(step, gradient, rtol=1e-12, atol=1e-12)


def test_a_gradient_that_is_not_finite_stays_so():
    leader = nn.Linear(2, 2, bias=False)
    optimizer = torch.optim.SGD(leader.parameters(), lr=1.0)
    optimizer.register_step_pre_hook(bilevel.ClipNorm(1.0))
    solver = bilevel.Solver(Linear(leader=leader), Stay(), leader_optimizer=optimizer)
    with pytest.raises(NonFiniteError, match="Step 1"):
        bilevel.fit(solver, [torch.full((2, 2), torch.inf)], epochs=1, progress=False)


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_out_of_range(limit):
    with pytest.raises(ConfigurationError, match="limit"):
        bilevel.ClipNorm(limit)
