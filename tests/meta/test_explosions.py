"""Unrolls that explode: the episode ends, and the last good rule goes on."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import replace

import pytest
import torch
from meta_cases import QUICK, images, rule_in_float64, task

from bilevel import Solver
from bilevel.errors import DivergenceError
from bilevel.learned import load
from bilevel.rule_loss import SummedOverSteps
from tasks.meta.build import build
from tasks.meta.estimators import estimators
from tasks.meta.guard import ExplosionWarning, Standing, StopExplosions
from tasks.meta.mixture import CLEAN
from tasks.meta.train import train, transferred
from tasks.settings import to_dict


@pytest.mark.parametrize("name", ["first-order", "second-order", "evolution", "persistent-evolution"])
def test_an_unroll_that_explodes_ends_its_episode_and_leaves_the_rule(name):
    pool = images()
    rule = rule_in_float64()
    with torch.no_grad():
        rule.output.weight.mul_(1e6)
    before = {key: p.clone() for key, p in rule.state_dict().items()}
    optimizer = torch.optim.Adam(rule.parameters(), lr=0.1)

    def make(leader):
        return task(pool, episode=5, judged=CLEAN, leader=leader)

    solver = estimators(0.01, 1)[name].solver(make, rule, optimizer, truncation=2, limit=50.0)
    with pytest.warns(ExplosionWarning, match=r"Window 1: the unroll exploded .*update.*, its"):
        record = solver.step(pool)
    assert record.follower_loss is None
    assert record.rule_gradient_norm is None
    assert all(torch.equal(p, before[key]) for key, p in rule.state_dict().items())
    assert not optimizer.state
    assert solver.follower.fresh
    assert solver.answer is None
    with torch.no_grad():
        rule.output.weight.mul_(1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = solver.step(pool)  # a new episode
    assert math.isfinite(float(second.leader_loss if second.leader_loss is not None else second.follower_loss))
    assert solver.follower.age == 1


def exploding_solver(pool, rate, limit=50.0, **settings):
    """Return a solver whose rule is good until it has moved, and the rule."""
    rule = rule_in_float64()
    optimizer = torch.optim.SGD(rule.parameters(), lr=rate)
    play = StopExplosions(limit, **settings)
    return Solver(
        task(pool, episode=5, judged=CLEAN), rule, steps=2, rule_optimizer=optimizer, rule_loss=SummedOverSteps(),
        play=play,
    ), rule  # fmt: skip


def test_the_move_that_made_a_rule_explode_is_taken_back():
    pool = images()
    solver, rule = exploding_solver(pool, rate=1e6)
    good = [p.detach().clone() for p in rule.parameters()]
    solver.step(pool)
    assert not all(torch.equal(p, g) for p, g in zip(rule.parameters(), good, strict=True))
    with pytest.warns(
        ExplosionWarning, match=r"Window 2: .*at update [34], [12] of 2 in its window, its loss is .* and "
    ):
        solver.step(pool)
    assert all(torch.equal(p, g) for p, g in zip(rule.parameters(), good, strict=True))
    assert Standing.of(solver.play_state).exploded == 1
    saved = solver.state_dict()
    again, other = exploding_solver(pool, rate=1e6)
    again.load_state_dict(saved)
    with torch.no_grad():
        other.output.weight.fill_(1e9)
    with pytest.warns(ExplosionWarning):
        again.step(pool)
    assert all(torch.equal(p, g) for p, g in zip(other.parameters(), good, strict=True))


def test_explosions_in_a_row_end_the_training():
    pool = images()
    solver, rule = exploding_solver(pool, rate=1.0, most=2)
    with torch.no_grad():
        rule.output.weight.mul_(1e6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExplosionWarning)
        solver.step(pool)
        solver.step(pool)
        with pytest.raises(DivergenceError, match=r"3 windows in a row exploded, up to window 3 .*smaller rate"):
            solver.step(pool)


def test_an_explosion_does_not_end_the_training():
    config = replace(QUICK, windows=8, update_scale=1e3, rate=10.0, limit=2.5)
    with pytest.warns(ExplosionWarning):
        training = train(config, progress=False)
    assert training.fitted.steps == 8
    assert transferred(training)


def test_the_log_counts_explosions(tmp_path):
    config = replace(QUICK, windows=8, update_scale=1e3, rate=10.0, limit=2.5)
    with pytest.warns(ExplosionWarning) as warned:
        train(config, tmp_path, progress=False)
    last = (tmp_path / "metrics.csv").read_text().splitlines()
    column = last[0].split(",").index("exploded")
    exploded = [one for one in warned if one.category is ExplosionWarning]
    assert float(last[-1].split(",")[column]) == len(exploded) > 0


def test_a_training_that_diverges_leaves_the_last_good_rule(tmp_path):
    config = replace(QUICK, windows=60, ramp=1.0, hidden=(4,), limit=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExplosionWarning)
        with pytest.raises(DivergenceError, match=r"The rule as it was before is kept: .*last-good-rule\.safetensors"):
            train(config, tmp_path, progress=False)
    torch.manual_seed(config.seed)
    begun = build(config).rule.state_dict()
    kept = load(tmp_path / "last-good-rule.safetensors")
    assert all(torch.equal(p, begun[name]) for name, p in kept.rule.state_dict().items())  # none has ever been good
    assert kept.about == json.loads(json.dumps(to_dict(config)))


def test_a_first_window_that_explodes_is_no_fault_of_the_scheduler():
    config = replace(QUICK, windows=2, windows_per_row=1, limit=1e-6)
    with pytest.warns() as warned:
        train(config, progress=False)
    assert {one.category for one in warned} == {ExplosionWarning}
