"""Checkpointed hypergradients are those of `Unrolled`, whatever the rule, the task and the segments."""

from __future__ import annotations

import pytest
import torch
import torchopt
from problems import Quadratic, Remembering, Split, Tracking
from torch import nn
from unrolled_again import RULES, SAME, STEPS, assert_same, solver_of

import bilevel
from bilevel import Checkpointed, Unrolled


@pytest.mark.parametrize("segment", [None, 1, 3, 25])
@pytest.mark.parametrize("rule", RULES)
def test_it_is_unrolled(rule, segment):
    rule = RULES[rule]()
    for p in rule.parameters() if isinstance(rule, nn.Module) else ():
        p.requires_grad_(False)
    (found,) = assert_same(Quadratic(), rule, Checkpointed(segment))
    assert found.abs().max() > 0.01


@pytest.mark.parametrize("rule", ["adam", "lstm", "noise"])
def test_an_answer_of_several_tensors(rule):
    rule = RULES[rule]()
    if isinstance(rule, nn.Module):
        rule.requires_grad_(False)
    assert_same(Split(Quadratic()), rule)


class Meta(Quadratic):
    """MAML: the follower begins where the leader stands."""

    def start(self, batch):
        return {"w": self.leader, "c": self.leader.sum() * 2}

    def follower_loss(self, batch, z):
        return (z["w"] - 1).square().sum() + z["c"].cos() * z["w"][0]

    def leader_loss(self, batch, z):
        return (z["w"] * z["c"]).sin().sum()


@pytest.mark.parametrize("rule", ["gradient", "adam"])
def test_a_start_that_depends_on_the_leader(rule):
    (found,) = assert_same(Meta(), RULES[rule]())
    assert found.abs().min() > 1e-3


@pytest.mark.parametrize("steps", [1, 2, 9, 17])
def test_any_number_of_steps(steps):
    assert_same(Tracking(), torchopt.adam(0.1), steps=steps)


def test_the_gradient_at_the_answer_for_a_task_that_remembers():
    slopes = [
        solver.leader_gradient(solver.answer_to(None)).answer_gradient
        for solver in (solver_of(Remembering(), torchopt.sgd(0.3), m) for m in (Unrolled(), Checkpointed()))
    ]
    torch.testing.assert_close(*slopes, **SAME)
    torch.testing.assert_close(slopes[0], Quadratic().slopes_at(Quadratic().after(STEPS, 0.3))[1])


def test_an_adaptive_rule_at_an_exactly_zero_gradient():
    class AtRest(Tracking):
        def start(self, batch):
            return (self.a @ self.leader).detach()

    (found,) = assert_same(AtRest(), torchopt.adam(0.1))
    assert found.isfinite().all()


@pytest.mark.parametrize("segment", [0, -1, True])
def test_a_segment_that_is_no_length_is_refused(segment):
    with pytest.raises(bilevel.ConfigurationError, match="Checkpointed's segment must be a whole number from 1"):
        Checkpointed(segment)
