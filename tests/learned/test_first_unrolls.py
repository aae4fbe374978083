"""The classic first test of a learned optimizer, whose answer is known to the digit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import bilevel
from bilevel import learned

# w = b = 0 leave x at 1 in the first unroll. There all derivatives of the summed loss are positive, and the first step
# of Adam(0.01) makes both -0.01, whatever their size. So the second unroll is x <- x - 0.01 * 2 x - 0.01, five times.
X, F = 0.855881, 0.732533


class Parabola(bilevel.Task):
    """f = x², from x = 1, the rule going on from unroll to unroll."""

    def __init__(self, leader: nn.Module | None, episode: int | None = None) -> None:
        super().__init__(leader, lives_on=True, episode=episode)

    def start(self, batch: None) -> Tensor:
        return torch.ones(1, dtype=torch.float64)

    def follower_loss(self, batch: None, z: Tensor) -> Tensor:
        return z.square().sum()

    leader_loss = follower_loss


def affine(*, detach: bool = True) -> learned.MLP:
    """The rule w·g + b with w = b = 0 (a perceptron without hidden layers, which sees minus g)."""
    return learned.MLP(1, (), inputs=(learned.Direction(detach=detach),), zero_last=True).double()


def as_rule(unrolls: int) -> float:
    """Return x after some unrolls of five, φ trained on the sum of the losses by the rule's optimizer."""
    rule = affine()
    solver = bilevel.Solver(
        Parabola(None),
        rule,
        steps=5,
        rule_optimizer=torch.optim.Adam(rule.parameters(), lr=0.01),
        rule_loss=bilevel.SummedOverSteps(),
    )
    for _ in range(unrolls):
        solver.step(None)
    return solver.answer.item()


def as_leader(unrolls: int, method: bilevel.Hypergradient, *, detach: bool = True) -> float:
    """Return the same where the rule leads, and its gradient is a hypergradient."""
    rule = affine(detach=detach)
    solver = bilevel.Solver(
        Parabola(rule),
        rule,
        steps=5,
        leader_optimizer=torch.optim.Adam(rule.parameters(), lr=0.01),
        hypergradient=method,
        play=bilevel.FollowerFirst(),
    )
    for _ in range(unrolls):
        solver.step(None)
    return solver.answer.item()


def by_hand(unrolls: int, *, second_order: bool = False) -> float:
    """Return the same in a dozen lines of PyTorch."""
    w, b = (torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in "wb")
    adam, x = torch.optim.Adam([w, b], lr=0.01), torch.tensor(1.0, dtype=torch.float64)
    for _ in range(unrolls):
        x, total = x.detach(), 0.0
        for _ in range(5):
            g = 2 * (x if second_order else x.detach())
            x = x + w * g + b
            total = total + x.square()
        adam.zero_grad()
        total.backward()
        adam.step()
    return x.item()


def test_two_unrolls_give_the_known_answer():
    x = as_rule(2)
    assert round(x, 6) == X
    assert round(x * x, 6) == F
    assert round(as_leader(2, bilevel.Unrolled(answers=5)), 6) == X
    assert as_rule(1) == 1.0


@pytest.mark.parametrize("unrolls", [1, 2, 3, 10, 40])
def test_and_all_later_ones_are_those_of_the_loop_by_hand(unrolls):
    # The scale of the loss does not matter to Adam, but for its epsilon: sum and mean agree to 1e-8 only.
    wanted = by_hand(unrolls)
    assert as_rule(unrolls) == pytest.approx(wanted, abs=1e-14)
    assert as_leader(unrolls, bilevel.Unrolled(answers=5)) == pytest.approx(wanted, abs=1e-8)


def test_second_derivatives_are_a_setting_and_matter_from_the_third_unroll_on():
    wanted = by_hand(10, second_order=True)
    assert as_leader(10, bilevel.Unrolled(answers=5), detach=False) == pytest.approx(wanted, abs=1e-7)
    assert abs(by_hand(10) - wanted) > 1e-3
    assert by_hand(2) == pytest.approx(by_hand(2, second_order=True), abs=1e-9)
