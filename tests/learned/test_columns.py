"""The fast ways of coordinate-wise rules give what PyTorch's own modules give."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bilevel import learned
from bilevel.learned import lstm_columns, perceptron_columns
from bilevel.learned.lstm_columns import Inputs, advance
from bilevel.learned.lstm_layer import pack

SAME = {"rtol": 1e-10, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _few_columns(monkeypatch):
    """Let seven columns be worked on at a time, so that there are several pieces and a last one that is not whole."""
    monkeypatch.setattr(lstm_columns, "FORWARD_COLUMNS", 7)
    monkeypatch.setattr(lstm_columns, "BACKWARD_COLUMNS", 4)
    monkeypatch.setattr(perceptron_columns, "COLUMNS", 7)


def lstm_case(columns: int):
    """Return the variables of three updates, and their total by PyTorch's cells and by columns."""
    torch.set_default_dtype(torch.float64)
    try:
        cells, output = [nn.LSTMCell(2, 5), nn.LSTMCell(5, 5)], nn.Linear(5, 1)
        seen = [torch.randn(columns, 2, requires_grad=True) for _ in range(3)]
        start = [torch.randn(columns, 5, requires_grad=True) for _ in range(4)]
        weights = torch.randn(3, columns)
    finally:
        torch.set_default_dtype(torch.float32)

    def total(states, answers):
        ends = sum(t.square().sum() for pair in states for t in pair)
        return ends + sum((u * w).sum() for u, w in zip(answers, weights, strict=True))

    def by_cells():
        states, answers = [(start[0], start[1]), (start[2], start[3])], []
        for x in seen:
            below = x
            for number, cell in enumerate(cells):
                states[number] = cell(below, states[number])
                below = states[number][0]
            answers.append(output(below)[:, 0])
        return total(states, answers)

    def by_columns():
        states = ((start[0].t(), start[1].t()), (start[2].t(), start[3].t()))
        answers, layers = [], tuple(map(pack, cells))
        for x in seen:
            u, states = advance(Inputs(x.t(), states, layers, (output.weight, output.bias[:, None])))
            answers.append(u[0])
        return total(states, answers)

    variables = [*(p for m in (*cells, output) for p in m.parameters()), *seen, *start]
    return variables, by_cells, by_columns


@pytest.mark.parametrize("columns", [1, 7, 18])
def test_the_lstm_and_its_first_and_second_derivatives(columns):
    variables, by_cells, by_columns = lstm_case(columns)
    torch.testing.assert_close(by_columns(), by_cells(), **SAME)
    wanted = torch.autograd.grad(by_cells(), variables, create_graph=True)
    for found in (
        torch.autograd.grad(by_columns(), variables),
        torch.autograd.grad(by_columns(), variables, create_graph=True),
    ):
        for a, b in zip(found, wanted, strict=True):
            torch.testing.assert_close(a, b, **SAME)
    second = [
        torch.autograd.grad(sum(g.square().sum() for g in gradient), variables, materialize_grads=True)
        for gradient in (found, wanted)
    ]
    for a, b in zip(*second, strict=True):
        torch.testing.assert_close(a, b, **SAME)


def test_a_state_in_place_is_the_same_state():
    rule, z = learned.LSTM(3), torch.zeros(20)
    states = {}
    with torch.no_grad():
        for inplace in (False, True):
            state = rule.init(z)
            first = state["cells"][0][0]
            for gradient in torch.linspace(-1, 1, 60).reshape(3, 20):
                updates, state = rule.update(gradient, state, params=z, inplace=inplace)
            states[inplace] = (updates, *(t for pair in state["cells"] for t in pair))
            assert (state["cells"][0][0].data_ptr() == first.data_ptr()) == inplace
    for a, b in zip(states[False], states[True], strict=True):
        assert torch.equal(a, b)


def test_under_autocast_and_transforms_the_lstm_is_pytorchs():
    rule, z = learned.LSTM(3), torch.zeros(5)
    gradient = torch.linspace(-1, 1, 5)
    wanted, _ = rule.update(gradient, rule.init(z), params=z)

    def loss(parameters):
        return torch.func.functional_call(rule, parameters, (gradient, rule.init(z)), {"params": z})[0].sum()

    parameters = {name: p.detach() for name, p in rule.named_parameters()}
    found = torch.func.grad(loss)(parameters)
    slopes = torch.autograd.grad(wanted.sum(), list(rule.parameters()))
    for a, b in zip(found.values(), slopes, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-7)
    with torch.autocast("cpu", torch.bfloat16):
        low, _ = rule.update(gradient, rule.init(z), params=z)
    torch.testing.assert_close(low, wanted, rtol=0.05, atol=1e-3)


INPUTS = {
    "the usual": (learned.Iterate(), learned.Direction()),
    "read row by row": (learned.Direction(learned.LogSign()), learned.Direction(learned.SampleRMS())),
    "read together": (learned.Direction(learned.BatchMax()), learned.Iterate()),
    "remembered": (learned.Start(), learned.LastDirection()),
}
SHAPES = [(), (3,), (2, 2), (20,), (1,), (5, 3), (7,)]


@pytest.mark.parametrize("hidden", [(), (4,), (8, 3)])
@pytest.mark.parametrize("inputs", INPUTS.values(), ids=INPUTS)
def test_the_perceptron_of_one_coordinate(inputs, hidden):
    rule = learned.MLP(1, hidden, inputs=inputs).double()
    z, *gradients = ([torch.randn(shape, dtype=torch.float64) for shape in SHAPES] for _ in range(3))
    state, answers = rule.init(z), []
    for gradient in gradients:
        rows = [torch.cat([t.reshape(-1, 1) for t in tensors]) for tensors in (z, gradient)]
        wanted = rule.network(torch.cat(rule._read(*rows, state)[0], dim=1))[:, 0]
        with torch.no_grad():
            plain, after = rule.update(gradient, state, params=z)
        graph, _ = rule.update(gradient, state, params=z)
        for found in (plain, graph):
            assert [t.shape for t in found] == [t.shape for t in z]
            torch.testing.assert_close(torch.cat([t.reshape(-1) for t in found]), wanted, **SAME)
        assert graph[0].requires_grad
        assert not plain[0].requires_grad
        answers.append(after)
        state = after
