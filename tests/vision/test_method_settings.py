"""Methods as values: their names, the settings of the papers and codes, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from method_cases import EPS, solver_of

from bilevel.errors import ConfigurationError
from bilevel.learned import BatchMax, Convolutional, Direction, Iterate, SampleRMS
from bilevel.play import LeaderFirst
from bilevel.rules import SignGradient
from bilevel.starts import Center, Uniform
from tasks.vision.games import Mixed, Trades
from tasks.vision.methods import L2L, METHODS, PerImage, SignSteps, Stability
from tasks.vision.networks import SmallConvNet
from tasks.vision.norm_modes import EvalModeNorm, TrainModeNorm
from tasks.vision.presets import CODE, PAPER


def test_names_stand_for_the_methods_of_the_paper():
    assert [name for name, m in METHODS.items() if isinstance(m, L2L) and m.steps == 2] == [
        "2-step-l2l",
        "2-step-grad-only-l2l",
    ]
    kinds = {name: tuple(map(type, m.inputs)) for name, m in METHODS.items() if isinstance(m, L2L)}
    assert kinds == {
        "naive-l2l": (Iterate,),
        "grad-l2l": (Iterate, Direction),
        "grad-only-l2l": (Direction,),
        "2-step-l2l": (Iterate, Direction),
        "2-step-grad-only-l2l": (Direction,),
        "k-step-l2l": (Iterate, Direction),
        "warm-l2l": (Iterate, Direction, Direction),
    }
    assert METHODS["fgsm"] == SignSteps(steps=1, step=1.0, start=Center())


def test_the_papers_settings():
    method = replace(PAPER, method="grad-l2l").make_method()
    solver = solver_of(method, SmallConvNet(3, width=3))
    attacker = method.rule(0.031, 3)
    assert isinstance(attacker, Convolutional)
    assert attacker.scale == 0.031
    assert sum(p.numel() for p in attacker.parameters()) == pytest.approx(1.631e6, rel=1e-3)
    assert [type(one) for one in attacker.inputs] == [Iterate, Direction]
    assert attacker.inputs[1].preprocess == PerImage()
    group = solver.rule_optimizer.param_groups[0]
    assert isinstance(solver.rule_optimizer, torch.optim.Adam)
    assert (group["lr"], group["betas"], group["weight_decay"]) == (1e-3, (0.9, 0.999), 2e-4)
    assert solver.play == LeaderFirst(same_answer=True)
    pgm = replace(PAPER, method="pgm").make_method()
    model = SmallConvNet(3, width=3)
    solver = pgm.solver(
        model, eps=0.031, channels=3, samples=64, leader_optimizer=torch.optim.SGD(model.parameters(), lr=0.1)
    )
    assert solver.steps == 10
    assert torch.tensor(solver.rule.step) == torch.tensor(0.007)
    assert solver.task.threat.begin == Center()


def test_the_settings_of_the_authors_code():
    method = replace(CODE, method="grad-l2l").make_method()
    assert sum(p.numel() for p in method.rule(0.031, 3).parameters()) == pytest.approx(1.748e6, rel=1e-3)
    assert method.inputs[1].preprocess == BatchMax()
    assert method.norm == TrainModeNorm()
    pgm = replace(CODE, method="pgm").make_method()
    assert (pgm.game, pgm.norm, pgm.steps) == (Mixed(1.0), EvalModeNorm(), 10)
    assert pgm.start.scaled(0.031).std == pytest.approx(0.001)
    assert pgm.step * 0.031 == pytest.approx(0.003)


@pytest.mark.parametrize(
    "method", [SignSteps(start=Uniform(0.5)), L2L(start=Uniform(0.5)), SignSteps(start=Uniform(0.5), game=Mixed(1.0))]
)
def test_starts_go_with_the_radius(method):
    assert solver_of(method, SmallConvNet(width=3)).task.threat.begin == Uniform(0.5 * EPS)


def test_an_attacker_goes_where_the_classifier_is():
    solver = solver_of(L2L(), SmallConvNet(width=3).double())
    assert {p.dtype for p in solver.rule.parameters()} == {torch.float64}


@pytest.mark.parametrize(
    "build",
    [
        lambda: SignSteps(steps=0),
        lambda: SignSteps(step=0.0),
        lambda: SignSteps(step=float("nan")),
        lambda: Mixed(-1.0),
        lambda: Trades(0.0),
        lambda: Stability(alpha=0.0),
        lambda: Stability(noise=float("inf")),
        lambda: L2L(steps=0),
        lambda: L2L(scale=-0.5),
    ],
)
def test_settings_out_of_range(build):
    with pytest.raises(ConfigurationError, match="above 0"):
        build()


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_values(name):
    assert METHODS[name] == replace(METHODS[name])


def test_their_parts_are_values():
    assert SignGradient(0.1) == SignGradient(0.1)
    assert SampleRMS() == SampleRMS()
