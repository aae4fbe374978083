"""What is told of a rule that learns, on rules whose numbers are known."""

from __future__ import annotations

import io
import math

import pytest
import torch
from torch import Tensor

import bilevel
from bilevel import learned
from bilevel.errors import ConfigurationError
from bilevel.learned import Watched
from bilevel.rules import Gradient, Sum

Z = {"conv.weight": torch.tensor([3.0, 0.0]), "fc.bias": torch.tensor([4.0, 0.0])}
G = {"conv.weight": torch.tensor([0.3, 1e-9]), "fc.bias": torch.tensor([-0.4, 0.0])}


def watch(rule, updates=1, **settings):
    watched = Watched(rule, **settings)
    state = watched.init(Z)
    for _ in range(updates):
        _, state = watched.update(G, state, params=Z)
    return watched


def test_the_ratio_of_update_and_weight():
    watched = watch(Sum(Gradient(0.5)))
    assert watched.numbers() == {"update_to_weight": pytest.approx(0.05)}  # 0.5 * 0.5 / 5
    assert watched.numbers() == {}


def test_gradients_below_the_preprocessings_end():
    numbers = watch(learned.LSTM(3)).numbers()
    assert numbers["saturated_inputs"] == 0.5  # 1e-9 and 0 are below exp(-10)
    assert (
        watch(learned.LSTM(3, inputs=(learned.Direction(learned.LogSign(1.0)),))).numbers()["saturated_inputs"] == 0.75
    )
    assert "saturated_inputs" not in watch(learned.MLP(1)).numbers()


def gates_by_hand(rule: learned.LSTM, gradients: Tensor) -> float:
    """Return the share of saturated gates at the first update, from PyTorch's own layers."""
    seen, shares = torch.stack(learned.LogSign(10.0)(-gradients), dim=1), []
    for cell in rule.cells:
        gates = seen @ cell.weight_ih.t() + cell.bias_ih + cell.bias_hh
        i, f, g, o = gates.chunk(4, dim=1)
        centred = [2 * torch.sigmoid(one) - 1 for one in (i, f, o)] + [torch.tanh(g)]
        shares.append((torch.stack(centred).abs() > 0.98).double().mean().item())
        zeros = torch.zeros(len(seen), cell.hidden_size)
        seen = cell(seen, (zeros, zeros))[0]
    return sum(shares) / len(shares)


@pytest.mark.parametrize("factor", [0.0, 1.0, 8.0, 1e4])
def test_saturated_gates(factor):
    rule = learned.LSTM(5, 2)
    with torch.no_grad():
        for p in rule.cells.parameters():
            p.mul_(factor)
    gradients = torch.cat([G["conv.weight"], G["fc.bias"]])
    share = watch(rule).numbers()["saturated_gates"]
    with torch.no_grad():
        assert share == pytest.approx(gates_by_hand(rule, gradients), abs=1e-6)
    assert share == 0 if factor == 0 else share > 0.6 if factor == 1e4 else True


def test_a_pattern_comes_before_the_names_of_its_rule():
    rule = learned.Grouped({"conv*": learned.LSTM(3), "*": learned.LSTM(3, inputs=(learned.Direction(),))})
    numbers = watch(rule).numbers()
    assert numbers["conv* saturated_inputs"] == 0.5
    assert set(numbers) == {"update_to_weight", "conv* saturated_inputs", "conv* saturated_gates", "* saturated_gates"}


def test_the_updates_are_the_rules_and_the_random_numbers_too():
    rule = learned.LSTM(3, inputs=(learned.Direction(learned.LogSign()), learned.Noise(0.1)))
    answers = []
    for one in (rule, Watched(rule, every=1)):
        torch.manual_seed(0)
        state = one.init(Z)
        for _ in range(3):
            updates, state = one.update(G, state, params=Z)
        answers.append(updates["fc.bias"])
    assert torch.equal(*answers)
    assert answers[1].requires_grad


def test_it_looks_now_and_then_and_only_at_a_rule_that_learns():
    watched = watch(learned.MLP(1), updates=7, every=3)
    assert watched.get_extra_state()["looks"] == 3
    watched.eval()
    watched.update(G, watched.init(Z), params=Z)
    assert watched.get_extra_state()["updates"] == 7
    with pytest.raises(ConfigurationError, match="Watched's every"):
        Watched(learned.MLP(1), every=0)


def test_no_graph_is_kept():
    watched = watch(learned.LSTM(3), updates=3, every=1)
    assert not any(value.requires_grad for value in watched.get_extra_state()["sums"].values())


def test_what_is_not_finite_shows():
    watched = Watched(Sum(Gradient(0.1)))
    watched.update({"a": torch.tensor([math.nan])}, watched.init({"a": torch.ones(1)}), params={"a": torch.ones(1)})
    assert math.isnan(watched.numbers()["update_to_weight"])


class Bowl(bilevel.FollowerTask):
    def start(self, batch):
        return batch

    def follower_loss(self, batch, z):
        return z.square().sum()


def solver(seed=0):
    torch.manual_seed(seed)
    watched = Watched(learned.LSTM(3), every=1)
    clip = bilevel.ClipNorm(1e-3)
    optimizer = torch.optim.SGD(watched.parameters(), lr=0.1)
    optimizer.register_step_pre_hook(clip)
    return bilevel.Solver(Bowl(None), watched, steps=3, rule_optimizer=optimizer), watched, clip


def test_a_training_logs_them():
    one, watched, clip = solver()
    fitted = bilevel.fit(
        one, [torch.ones(4)] * 5, epochs=2, evaluate=lambda: watched.numbers() | clip.numbers(), progress=False
    )
    assert len(fitted.rows) == 2
    for row in fitted.rows:
        assert row["clipped"] == 1
        assert row["norm_before_clipping"] == pytest.approx(row["rule_gradient_norm"], rel=1e-5)
        assert 0 < row["update_to_weight"] < 0.1
        assert row["saturated_inputs"] == 0


def test_a_resumed_training_goes_on_with_the_sums():
    one, watched, clip = solver()
    for _ in range(2):
        one.step(torch.ones(4))
    file = io.BytesIO()
    torch.save((one.state_dict(), clip.state_dict()), file)
    one.step(torch.ones(4))
    wanted = watched.numbers() | clip.numbers()
    file.seek(0)
    states = torch.load(file, weights_only=True)
    other, again, clip_2 = solver(1)
    other.load_state_dict(states[0])
    clip_2.load_state_dict(states[1])
    other.step(torch.ones(4))
    assert again.numbers() | clip_2.numbers() == wanted
