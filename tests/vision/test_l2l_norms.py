"""What batch norms absorb in each pass of a training with a learned attacker."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from method_cases import batch, solver_of
from torch import nn

from bilevel.learned import Small
from bilevel.play import LeaderFirst
from tasks.vision.methods import L2L
from tasks.vision.networks import SmallConvNet
from tasks.vision.norm_modes import EvalModeNorm
from tasks.vision.presets import CODE, PAPER


def seen(module):
    counts = {int(m.num_batches_tracked) for m in module.modules() if isinstance(m, nn.BatchNorm2d)}
    assert len(counts) == 1
    return counts.pop()


@pytest.mark.parametrize(
    ("name", "classifier", "attacker"), [("grad-l2l", (2, 0), (0, 1)), ("2-step-l2l", (3, 0), (0, 2))]
)
@pytest.mark.parametrize("network", [Small(width=4), None], ids=["small", "as-in-the-code"])
def test_batch_norms_absorb_what_they_do_in_the_authors_code(name, classifier, attacker, network):
    method = replace(CODE, method=name).make_method()
    method = method if network is None else replace(method, network=network)
    assert method.play == LeaderFirst()
    model, b = SmallConvNet(width=3), batch(2)
    solver = solver_of(method, model)
    between = []
    solver.leader_update.optimizer.register_step_pre_hook(lambda *_: between.append((seen(model), seen(solver.rule))))
    solver.step(b)
    ((model_first, rule_first),) = between
    assert (model_first, seen(model) - model_first) == classifier
    assert (rule_first, seen(solver.rule) - rule_first) == attacker


@pytest.mark.parametrize(("name", "classifier", "attacker"), [("grad-l2l", (2, 0), 1), ("2-step-l2l", (3, 0), 2)])
def test_in_algorithm_3_both_players_move_on_the_images_of_one_generation(name, classifier, attacker):
    """The preset of the paper: nothing is made anew for the attacker's turn, whose pass is in evaluation mode."""
    method = replace(replace(PAPER, method=name).make_method(), network=Small(width=4))
    assert method.play == LeaderFirst(same_answer=True)
    model, b = SmallConvNet(width=3), batch(2)
    solver = solver_of(method, model)
    between = []
    solver.leader_update.optimizer.register_step_pre_hook(lambda *_: between.append((seen(model), seen(solver.rule))))
    solver.step(b)
    ((model_first, rule_first),) = between
    assert (model_first, seen(model) - model_first) == classifier
    assert (rule_first, seen(solver.rule)) == (attacker, attacker)
    assert all(m.training for m in (*model.modules(), *solver.rule.modules()))
    assert all(p.grad is None for p in (*model.parameters(), *solver.rule.parameters()))


def test_by_default_the_running_statistics_describe_the_images_that_are_learned():
    model, b = SmallConvNet(width=3), batch()
    twin = copy.deepcopy(model)
    solver = solver_of(L2L(network=Small(width=4), steps=2, norm=EvalModeNorm()), model)
    z = solver.follow(b).answer.detach()  # moves the attacker's running statistics, which it does not use in training
    solver.step(b)
    assert seen(model) == 1
    twin(z)
    for (name, one), (_, other) in zip(model.named_buffers(), twin.named_buffers(), strict=True):
        assert torch.equal(one, other), name
