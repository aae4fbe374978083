"""A rule as a torch optimizer: what every loop may ask of one."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from optimizer_cases import X, Y, equal, network, run
from torch import nn
from torch.nn.functional import mse_loss

from bilevel import learned
from bilevel.errors import ConfigurationError, DivergenceError
from bilevel.learned import RuleOptimizer
from bilevel.rules import Adam, Gradient, Guarded, Momentum, Sum

RULES = {
    "lstm": lambda: learned.LSTM(4, scale=0.3),
    "mlp": lambda: learned.MLP(1, (3,)),
    "memory": lambda: learned.LSTM(3, inputs=(learned.Displacement(), learned.LastDirection())),
    "grouped": lambda: learned.Grouped({"0.*": learned.LSTM(3), "*": learned.MLP(1)}),
    "named tuples in the state": lambda: learned.BoundedResidual(learned.MLP(1), base=Adam(0.1), limit=0.1),
    "multistep": lambda: learned.Multistep(3, 4),
}
every_rule = pytest.mark.parametrize("make", RULES.values(), ids=RULES)


@every_rule
def test_it_moves_as_the_rule_does(make):
    rule, model = make().eval(), network()
    z = {name: p.detach().clone() for name, p in model.named_parameters()}
    with torch.no_grad():
        state = rule.init(z)
    got = run(model, RuleOptimizer(model, rule, lr=0.5), 5)
    for _ in range(5):
        point = {name: t.clone().requires_grad_() for name, t in z.items()}
        loss = mse_loss(torch.func.functional_call(network(), point, X), Y)
        gradient = dict(zip(point, torch.autograd.grad(loss, list(point.values())), strict=True))
        with torch.no_grad():
            updates, state = rule.update(gradient, state, params=z)
            z = {name: z[name] + 0.5 * updates[name] for name in z}
    for a, b in zip(got, z.values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_with_a_written_rule_it_is_that_optimizer():
    model, twin = network(), network()
    got = run(model, RuleOptimizer(model.parameters(), Sum(Momentum(0.1, 0.9))), 6)
    wanted = run(twin, torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9), 6)
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_the_rule_is_asked_in_evaluation_mode_and_without_a_graph():
    class Looks(Sum):
        def update(self, grads, state, *, params=None, inplace=False):
            assert not self.training
            assert not torch.is_grad_enabled()
            return super().update(grads, state, params=params)

    rule = Looks(learned.LSTM(3), Gradient(0.1)).train()
    model = network()
    optimizer = RuleOptimizer(model, rule)
    run(model, optimizer, 2)
    assert rule.training
    assert not any(t.requires_grad for t in optimizer.state_dict()["state"]["blocks"][0]["state"])
    assert all(p.grad is None for p in rule.parameters())


@every_rule
def test_it_leaves_the_gradients_as_they_are(make):
    model = network()
    optimizer = RuleOptimizer(model, make())
    for _ in range(2):
        optimizer.zero_grad()
        mse_loss(model(X), Y).backward()
        before = [p.grad.clone() for p in model.parameters()]
        optimizer.step()
        assert equal(before, [p.grad for p in model.parameters()])


@every_rule
def test_it_resumes_bit_for_bit(make):
    rule, model = make(), network()
    optimizer = RuleOptimizer(model, rule)
    run(model, optimizer, 3)
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    wanted = run(model, optimizer, 3)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    again = network()
    again.load_state_dict(saved["model"])
    resumed = RuleOptimizer(again, rule, lr=7.0)
    resumed.load_state_dict(saved["optimizer"])
    assert resumed.param_groups[0]["lr"] == 1.0
    kept = copy.deepcopy(saved["optimizer"])
    assert equal(run(again, resumed, 3), wanted)
    for a, b in zip(kept["state"]["blocks"], saved["optimizer"]["state"]["blocks"], strict=True):
        assert all(
            torch.equal(x, y) for x, y in zip(a["state"], b["state"], strict=True) if isinstance(x, torch.Tensor)
        )


@every_rule
def test_a_copy_goes_on_by_itself(make):
    model = network()
    optimizer = RuleOptimizer(model, make())
    run(model, optimizer, 2)
    model_2, optimizer_2 = copy.deepcopy((model, optimizer))
    file = io.BytesIO()
    torch.save((model, optimizer), file)
    file.seek(0)
    model_3, optimizer_3 = torch.load(file, weights_only=False)
    wanted = run(model, optimizer, 3)
    assert equal(run(model_2, optimizer_2, 3), wanted)
    assert equal(run(model_3, optimizer_3, 3), wanted)


def test_each_group_has_a_factor_of_its_own():
    model, twin = network(), network()
    groups = [
        {"params": list(model[0].named_parameters(prefix="0"))},
        {"params": list(model[2].named_parameters(prefix="2")), "lr": 0.25},
    ]
    rule = learned.LSTM(3)
    before = [p.detach().clone() for p in model.parameters()]
    got = run(model, RuleOptimizer(groups, rule, lr=2.0), 1)
    alone = run(twin, RuleOptimizer(twin, rule), 1)
    for a, b, start, factor in zip(got, alone, before, (2.0, 2.0, 0.25, 0.25), strict=True):
        torch.testing.assert_close(a - start, factor * (b - start), rtol=1e-4, atol=1e-7)


def test_a_group_may_be_added_later():
    model = network()
    rule = Sum(Gradient(0.5), learned.MLP(1, zero_last=True))
    optimizer = RuleOptimizer(list(model[0].named_parameters(prefix="0")), rule)
    run(model, optimizer, 2)
    optimizer.add_param_group({"params": list(model[2].named_parameters(prefix="2")), "lr": 0.0})
    still = [p.detach().clone() for p in model[2].parameters()]
    run(model, optimizer, 1)
    assert equal(still, model[2].parameters())
    state = optimizer.state_dict()
    assert [block["members"] for block in state["state"]["blocks"]] == [[0, 1], [2, 3]]
    fresh = RuleOptimizer([{"params": list(model[i].named_parameters(prefix=str(i)))} for i in (0, 2)], rule)
    fresh.load_state_dict(state)
    assert fresh.param_groups[1]["lr"] == 0.0


def test_schedulers_change_the_factor():
    model, twin = network(), network()
    optimizer = RuleOptimizer(model, Sum(Gradient(0.1)))
    other = torch.optim.SGD(twin.parameters(), lr=0.1)
    got = run(model, optimizer, 5, torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5))
    wanted = run(twin, other, 5, torch.optim.lr_scheduler.StepLR(other, 2, 0.5))
    assert optimizer.param_groups[0]["lr"] == 0.25
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_a_closure_is_called_with_gradients_on_and_its_loss_returned():
    model = network()
    optimizer = RuleOptimizer(model, Sum(Gradient(0.1)))

    def closure():
        optimizer.zero_grad()
        loss = mse_loss(model(X), Y)
        loss.backward()
        return loss

    first, second = optimizer.step(closure), optimizer.step(closure)
    assert second < first
    assert first.requires_grad


def test_hooks_run_before_and_after():
    model, seen = network(), []
    optimizer = RuleOptimizer(model, Sum(Gradient(0.1)))
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    run(model, optimizer, 1)
    assert seen == ["before", "after"]


def test_frozen_parameters_stay_and_begin_when_they_are_set_free():
    model, rule = network(), learned.LSTM(3)
    model[0].requires_grad_(False)
    optimizer = RuleOptimizer(model, rule)
    frozen = [p.detach().clone() for p in model[0].parameters()]
    run(model, optimizer, 2)
    assert equal(frozen, model[0].parameters())
    assert optimizer.state_dict()["state"]["blocks"][0]["members"] == [2, 3]
    model[0].requires_grad_(True)
    before = [p.detach().clone() for p in model[2].parameters()]
    run(model, optimizer, 1)
    assert not equal(frozen, model[0].parameters())
    assert not equal(before, model[2].parameters())
    assert [block["members"] for block in optimizer.state_dict()["state"]["blocks"]] == [[2, 3], [0, 1]]


@pytest.mark.parametrize("wrap", [torch.compile, nn.DataParallel, lambda m: torch.compile(nn.DataParallel(m))])
def test_a_wrapped_model_keeps_the_names_that_groups_are_made_by(wrap):
    rule = learned.Grouped({"0.*": learned.LSTM(3), "*": learned.MLP(1)})
    assert RuleOptimizer(wrap(network()), rule)._part_of == RuleOptimizer(network(), rule)._part_of == [0, 0, 1, 1]
    inner = nn.Sequential()
    inner.add_module("module", network())
    named = learned.Grouped({"module.0.*": learned.LSTM(3), "*": learned.MLP(1)})
    assert RuleOptimizer(inner, named)._part_of == [0, 0, 1, 1]


def test_a_rule_of_two_groups_does_without_a_frozen_one():
    model = network()
    model[0].requires_grad_(False)
    optimizer = RuleOptimizer(model, learned.Grouped({"0.*": learned.LSTM(3), "2.*": learned.LSTM(3)}))
    before = [p.detach().clone() for p in model.parameters()]
    moved = [not torch.equal(a, b) for a, b in zip(before, run(model, optimizer, 1), strict=True)]
    assert moved == [False, False, True, True]


def test_a_parameter_without_a_gradient_is_not_moved_and_counts_as_0():
    a, b = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = RuleOptimizer([a, b], Sum(Momentum(1.0, 0.5)))
    for gradient in (torch.ones(2), None, torch.ones(2)):
        a.grad, b.grad = torch.ones(2), gradient
        optimizer.step()
    # b's velocity: 1, 0.5 (not applied), 1.25.
    assert b.tolist() == [1 - 1 - 1.25] * 2
    a.grad = b.grad = None
    before = a.detach().clone()
    optimizer.step()
    assert torch.equal(a, before)


def test_without_any_gradient_nothing_happens():
    model = network()
    optimizer = RuleOptimizer(model, learned.LSTM(3))
    optimizer.step()
    assert optimizer.state_dict()["state"]["blocks"] == []
    RuleOptimizer(network(), learned.LSTM(3)).load_state_dict(optimizer.state_dict())


def test_groups_of_weights_find_their_rule_by_the_models_names():
    model = network()
    rule = learned.Grouped({"*.bias": Gradient(1.0), "0.weight": Gradient(2.0), "*": learned.MLP(1, zero_last=True)})
    before = [p.detach().clone() for p in model.parameters()]
    run(model, RuleOptimizer(model, rule), 1)
    for p, start, factor in zip(model.parameters(), before, (2.0, 1.0, 0.0, 1.0), strict=True):
        torch.testing.assert_close(p - start, -factor * p.grad, rtol=1e-4, atol=1e-6)


def test_from_a_file(tmp_path):
    rule, model, twin = learned.LSTM(3), network(), network()
    learned.save(rule, tmp_path / "rule.safetensors")
    saved = learned.load(tmp_path / "rule.safetensors")
    assert equal(run(model, saved.as_optimizer(model, lr=0.5), 3), run(twin, RuleOptimizer(twin, rule, lr=0.5), 3))
    double = network().double()
    with pytest.raises(ConfigurationError, match=r"rule\.to"):
        saved.as_optimizer(double)
    saved.rule.to(torch.float64)
    assert saved.as_optimizer(double.parameters()).param_groups[0]["lr"] == 1.0


def test_a_diverging_rule_can_be_guarded():
    model = network()
    optimizer = RuleOptimizer(model, Guarded(learned.LSTM(3, scale=1e6), limit=10.0))
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(DivergenceError, match="at most 10 is allowed"):
        run(model, optimizer, 1)
    assert equal(before, model.parameters())


def test_a_parameter_without_entries_is_left_alone():
    empty, weight = nn.Parameter(torch.empty(0)), nn.Parameter(torch.ones(2))
    optimizer = RuleOptimizer([empty, weight], learned.LSTM(3))
    for p in (empty, weight):
        p.grad = torch.ones_like(p)
    optimizer.step()
    assert not torch.equal(weight, torch.ones(2))
    alone = RuleOptimizer([empty], learned.LSTM(3))
    alone.step()
