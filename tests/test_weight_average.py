"""Averages of weights along a training."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from bilevel import WeightAverage
from bilevel.errors import ConfigurationError


def changed(model, steps):
    """Change every parameter and buffer of ``model``, and yield its state after each step."""
    for step in range(steps):
        with torch.no_grad():
            for tensor in (*model.parameters(), *model.buffers()):
                tensor.add_(step + 1 if not tensor.is_floating_point() else torch.randn_like(tensor))
        yield {name: value.clone() for name, value in model.state_dict().items()}


def norm_net():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).double()


def test_the_average_is_the_geometric_sum_of_weights_and_statistics():
    model = norm_net()
    first = {name: value.clone() for name, value in model.state_dict().items()}
    average = WeightAverage(model, 0.3)
    states = []
    for state in changed(model, 5):
        states.append(state)
        average.update()
    found = average.average.state_dict()
    for name, value in found.items():
        if value.is_floating_point():
            decays = [2 / 11, 3 / 12, 0.3, 0.3, 0.3]  # (1 + n) / (10 + n) at first, then no more than was asked for
            after = [math.prod(decays[i:]) for i in range(6)]  # what is left of each of the weights before it
            terms = [(1 - decays[i]) * after[i + 1] * state[name] for i, state in enumerate(states)]
            torch.testing.assert_close(value, after[0] * first[name] + sum(terms), rtol=1e-12, atol=1e-12)
        else:
            assert torch.equal(value, states[-1][name])
    assert "1.num_batches_tracked" in found


def test_until_it_begins_it_follows_the_module():
    model = norm_net()
    average = WeightAverage(model, 0.5, start=2)
    states = []
    for state in changed(model, 3):
        states.append(state)
        average.update()
        if average.steps <= 2:
            assert all(torch.equal(v, state[name]) for name, v in average.average.state_dict().items())
    expected = 2 / 11 * states[1]["0.weight"] + 9 / 11 * states[2]["0.weight"]
    torch.testing.assert_close(average.average[0].weight, expected)


def test_the_first_weights_are_forgotten_however_slow_the_average():
    weight = nn.Linear(1, 1, bias=False)
    nn.init.ones_(weight.weight)
    average = WeightAverage(weight, 0.9999)
    nn.init.zeros_(weight.weight)
    for _ in range(50):
        average.update()
    assert 0 < float(average.average.weight) < 1e-6


def test_the_copy_is_for_evaluation_and_leaves_the_module_alone():
    model = norm_net()
    average = WeightAverage(model, 0.9)
    assert not average.average.training
    assert model.training
    assert not any(p.requires_grad for p in average.average.parameters())
    assert all(p.requires_grad for p in model.parameters())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    average.update()
    average.average(torch.rand(2, 3, dtype=torch.float64))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_it_goes_on_where_it_was():
    model = norm_net()
    whole = WeightAverage(model, 0.7, start=2)
    for _ in changed(model, 3):
        whole.update()
    parts = WeightAverage(model, 0.7, start=2)
    parts.load_state_dict(
        {**whole.state_dict(), "average": {k: v.clone() for k, v in whole.average.state_dict().items()}}
    )
    for _ in changed(model, 2):
        whole.update()
        parts.update()
    for one, other in zip(whole.average.parameters(), parts.average.parameters(), strict=True):
        assert torch.equal(one, other)
    assert parts.steps == 5


@pytest.mark.parametrize("arguments", [(0.0,), (1.0,), (float("nan"),), (0.9, -1)])
def test_numbers_out_of_range(arguments):
    with pytest.raises(ConfigurationError, match=r"decay|start"):
        WeightAverage(norm_net(), *arguments)
