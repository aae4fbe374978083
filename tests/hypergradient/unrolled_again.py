"""Rules, and the comparison of a hypergradient with that of `Unrolled`."""

from __future__ import annotations

import torch
import torchopt
from problems import sgd
from torch import nn

import bilevel
from bilevel import Checkpointed, Unrolled
from bilevel.learned import LSTM, MLP, Direction, Iterate, LastDirection, Noise, Start

STEPS = 10
SAME = {"rtol": 1e-12, "atol": 1e-13}


def seen(name):
    """What a learned rule sees, the gradient differentiated too."""
    inputs = {
        "mlp": (Iterate(), Direction(detach=False)),
        "lstm": (Direction(detach=False), LastDirection(), Start()),
        "noise": (Iterate(), Direction(detach=False), Noise(0.5)),
    }[name]
    torch.manual_seed(5)
    return (LSTM(hidden=4, inputs=inputs, scale=0.3) if name == "lstm" else MLP(4, (8,), inputs=inputs)).double()


RULES = {
    "gradient": lambda: torchopt.sgd(0.3),
    "momentum": lambda: torchopt.sgd(0.1, momentum=0.9),
    "adam": lambda: torchopt.adam(0.1),
    **{name: lambda name=name: seen(name) for name in ("mlp", "lstm", "noise")},
}


def solver_of(task, rule, method, *, steps=STEPS, **settings):
    led = task.leader.parameters() if isinstance(task.leader, nn.Module) else [task.leader]
    return bilevel.Solver(task, rule, steps=steps, leader_optimizer=sgd(led), hypergradient=method, **settings)


def gradient_of(task, rule, method, *, steps=STEPS):
    """Return the hypergradient and the next random number."""
    torch.manual_seed(1)
    solver = solver_of(task, rule, method, steps=steps)
    found = solver.leader_gradient(solver.answer_to(None)).gradient
    return found, torch.rand(())


def assert_same(task, rule, method=None, *, steps=STEPS):
    """Check that the hypergradient is that of `Unrolled`, at the same random numbers, and return it."""
    (wanted, a), (found, b) = (gradient_of(task, rule, m, steps=steps) for m in (Unrolled(), method or Checkpointed()))
    assert [g is None for g in found] == [g is None for g in wanted]
    for one, other in zip(found, wanted, strict=True):
        if one is not None:
            torch.testing.assert_close(one, other, **SAME)
    assert torch.equal(a, b)
    return [g for g in found if g is not None]
