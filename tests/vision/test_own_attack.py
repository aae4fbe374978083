"""A training's own attacker as an attack."""

from __future__ import annotations

from dataclasses import replace

import torch
from interpolation_by_hand import EPS, batch, solver_of, warm

from bilevel.learned import Small
from tasks.vision.attacks import Learned
from tasks.vision.games import Robust
from tasks.vision.methods import AIT_METHODS, L2L
from tasks.vision.methods.own_attack import OwnAttack


def test_in_the_zero_sum_game_the_own_attacker_is_the_learned_attack():
    model, b = warm(), batch()
    solver = solver_of(L2L(network=Small(width=4), steps=2), model)
    one = Learned(solver.rule, EPS, steps=2)(model, b)
    assert torch.equal(OwnAttack(solver.rule, EPS, Robust(), 2)(model, b), one)
    assert all(m.training for m in (*model.modules(), *solver.rule.modules()))


def test_in_interpolation_the_own_attacker_sees_the_feature_loss():
    model, b = warm(), batch()
    method = replace(AIT_METHODS["grad-l2l"], network=Small(width=4))
    solver = solver_of(method, model)
    attack = OwnAttack(solver.rule, EPS, method.game)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    z = attack(model, b)
    assert torch.equal(z, attack(model, b))
    solver.rule.eval()
    assert torch.equal(z, solver.answer_to(b).answer)
    assert not torch.equal(z, OwnAttack(solver.rule, EPS)(model, b))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert {attack.identity} != {OwnAttack(solver.rule, EPS).identity}
    assert attack.identity == OwnAttack(solver.rule, EPS, method.game).identity
