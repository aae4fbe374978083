"""A learned rule as an attack is its rollout."""

from __future__ import annotations

import torch
from attack_cases import images, learned_rule
from small_classifiers import Mixed
from torch import nn
from torch.nn import functional as F

import bilevel
from bilevel.rules import SignGradient
from tasks.vision.attacks import PGM, Learned


def test_the_sign_rule_as_a_learned_attack_is_pgm():
    model, batch = Mixed().eval(), images()
    assert torch.equal(Learned(SignGradient(0.03), 0.1, steps=12)(model, batch), PGM(0.1, 12, 0.03)(model, batch))


def test_a_learned_attack_is_the_rule_s_rollout_in_evaluation_mode():
    model, batch, rule = Mixed().eval(), images(), learned_rule()
    for part in rule.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()
    found = Learned(rule, 0.1, steps=1)(model, batch)
    assert all(part.training for part in rule.modules())
    rule.eval()
    z = batch.x.clone().requires_grad_()
    (g,) = torch.autograd.grad(-F.cross_entropy(model(z), batch.y), z)
    with torch.no_grad():
        update, _ = rule.update(g, rule.init(batch.x), params=batch.x)
    assert torch.equal(found, bilevel.box(bilevel.linf_ball(batch.x + update, center=batch.x, radius=0.1)))
