"""What a rule as a torch optimizer refuses: parameters, gradients and states that do not fit."""

from __future__ import annotations

import pytest
import torch
from optimizer_cases import X, Y, network, run
from torch import nn
from torch.nn.functional import mse_loss

from bilevel import learned
from bilevel.errors import CheckpointError, ConfigurationError
from bilevel.learned import RuleOptimizer
from bilevel.rules import Gradient, Sum


def test_a_group_that_is_refused_is_not_left_behind():
    model = network()
    rule = Sum(Gradient(0.5), learned.MLP(1, zero_last=True))
    optimizer = RuleOptimizer(list(model[0].named_parameters(prefix="0")), rule)
    new = list(model[2].named_parameters(prefix="2"))
    for group, message in (
        ({"params": []}, "Param group 2 is empty"),
        ({"params": new, "weight_decay": 0.1}, "Param group 2 has weight_decay, which a learned rule has not"),
        ({"params": new, "lr": "1"}, "The lr of param group 2 is '1'"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            optimizer.add_param_group(group)
        assert len(optimizer.param_groups) == 1
    run(model, optimizer, 1)  # which has gradients for all
    optimizer.add_param_group({"params": new})
    assert len(optimizer.members) == 4


def test_sparse_gradients_are_named():
    model = nn.Embedding(5, 2, sparse=True)
    optimizer = RuleOptimizer(model, learned.LSTM(3))
    model(torch.tensor([1])).sum().backward()
    with pytest.raises(ConfigurationError, match=r"gradients of weight are sparse.*sparse=False"):
        optimizer.step()


def test_what_does_not_fit_is_refused():
    model, rule = network(), learned.LSTM(3)
    grouped = learned.Grouped({"conv*": rule, "*": rule})
    mixed = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2).double()])
    for make, says in (
        (lambda: RuleOptimizer([], rule), "no parameters"),
        (lambda: RuleOptimizer(model[0].weight, rule), "got Parameter in place of parameters: give a model"),
        (lambda: RuleOptimizer(model.state_dict(), rule), "got OrderedDict in place of parameters"),
        (lambda: RuleOptimizer([{"params": []}], rule), "Param group 1 is empty"),
        (lambda: RuleOptimizer([{"params": model.parameters()}, {"params": []}], rule), "Param group 2 is empty"),
        (lambda: RuleOptimizer(model, rule, lr=-1.0), "lr of param group 1 is -1.0"),
        (lambda: RuleOptimizer(model, rule, lr=float("nan")), "finite number of at least 0"),
        (lambda: RuleOptimizer(mixed, rule), r"torch.float32 on cpu, and the parameter 1.weight is torch.float64"),
        (lambda: RuleOptimizer(model.to("meta"), rule), "the parameter 0.weight is torch.float32 on meta"),
        (lambda: RuleOptimizer(network(), grouped), r"pattern 'conv\*' gets no tensor"),
        (lambda: RuleOptimizer(network(), learned.Grouped({"0*": rule})), "no rule for '2.weight'"),
        (lambda: RuleOptimizer(network().parameters(), grouped), "these parameters have none"),
        (lambda: RuleOptimizer([{"params": list(network().named_parameters())} for _ in "12"], rule), "same name"),
    ):
        with pytest.raises(ConfigurationError, match=says):
            make()
    moved = network()
    optimizer = RuleOptimizer(moved, rule)
    moved.double()
    mse_loss(moved(X.double()), Y.double()).backward()
    with pytest.raises(ConfigurationError, match=r"torch\.float64 on cpu: call rule\.to"):
        optimizer.step()


def test_a_state_of_something_else_is_refused():
    model = network()
    optimizer = RuleOptimizer(model, learned.LSTM(3))
    run(model, optimizer, 1)
    adam = torch.optim.Adam(model.parameters())
    with pytest.raises(CheckpointError, match="state of another optimizer"):
        optimizer.load_state_dict(adam.state_dict())
    with pytest.raises(CheckpointError, match="saved with another rule or another model"):
        RuleOptimizer(model, learned.LSTM(4)).load_state_dict(optimizer.state_dict())
    for other in (model[0], nn.Sequential(model, network())):
        with pytest.raises(CheckpointError, match=r"The saved state is of groups of \[4\] parameters"):
            RuleOptimizer(other, learned.LSTM(3)).load_state_dict(optimizer.state_dict())
    for nothing in ({}, {"state": {"blocks": []}}):
        with pytest.raises(CheckpointError, match="state of another optimizer"):
            optimizer.load_state_dict(nothing)


def test_a_state_of_another_order_is_refused():
    """Names order a rule's state: what was saved without them would be given to the wrong parameters."""
    model, twin = network(), network()
    unnamed, named = RuleOptimizer(model.parameters(), learned.LSTM(3)), RuleOptimizer(twin, learned.LSTM(3))
    run(model, unnamed, 1)
    run(twin, named, 1)
    for into, state in ((named, unnamed.state_dict()), (unnamed, named.state_dict())):
        with pytest.raises(CheckpointError, match="which changes their order"):
            into.load_state_dict(state)
    renamed = [(f"{9 - i}", p) for i, p in enumerate(twin.parameters())]
    with pytest.raises(CheckpointError, match="of parameters with other names"):
        RuleOptimizer(renamed, learned.LSTM(3)).load_state_dict(named.state_dict())
    wrapped = [(f"module.{name}", p) for name, p in twin.named_parameters()]
    RuleOptimizer(wrapped, learned.LSTM(3)).load_state_dict(named.state_dict())
