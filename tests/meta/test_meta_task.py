"""A rule that learns to train: its gradient against the mathematics, and its curriculum."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from meta_cases import ATTACK, MIXED, QUICK, images, reference_loss, rule_in_float64, task, whole

import bilevel
from bilevel.errors import ConfigurationError
from tasks.meta.build import build
from tasks.meta.curriculum import Curriculum, Plan
from tasks.meta.estimators import FirstOrder, SecondOrder
from tasks.meta.guard import StopExplosions
from tasks.meta.mixture import CLEAN, Mixture
from tasks.meta.task import require_updates

UPDATES = 3


def one_window(estimator, pool, *, shown, judged, detach=True):
    """Return what a step of the solver adds to φ at a rate of 1, and where the follower began."""
    rule = rule_in_float64(detach=detach)
    before = [p.detach().clone() for p in rule.parameters()]
    optimizer = torch.optim.SGD(rule.parameters(), lr=1.0)

    def make(leader):
        return task(pool, shown=shown, judged=judged, leader=leader)

    solver = estimator.solver(make, rule, optimizer, truncation=UPDATES, limit=1e3)
    torch.manual_seed(0)
    solver.step(pool)
    torch.manual_seed(0)
    start = solver.task.problem.start()
    return (
        rule_in_float64(detach=detach),
        [b - p.detach() for b, p in zip(before, rule.parameters(), strict=True)],
        start,
    )


def unrolled(rule, start, pool, *, shown, judged, second_order):
    """Return the sum of the losses at the three answers, by a loop that knows nothing of solvers."""
    z, state, total = start, rule.init(start), 0.0
    for _ in range(UPDATES):
        seen = z if second_order else {name: w.detach() for name, w in z.items()}
        seen = {name: w if w.requires_grad else w.requires_grad_() for name, w in seen.items()}
        loss = reference_loss(seen, whole(pool), shown)
        slopes = torch.autograd.grad(loss, list(seen.values()), create_graph=second_order)
        updates, state = rule.update(dict(zip(seen, slopes, strict=True)), state, params=seen if second_order else z)
        z = {name: w + updates[name] for name, w in (seen if second_order else z).items()}
        total = total + reference_loss(z, whole(pool), judged)
    return total


@pytest.mark.parametrize(("shown", "judged"), [(CLEAN, MIXED), (MIXED, MIXED), (CLEAN, CLEAN), (MIXED, CLEAN)])
def test_the_first_order_gradient_is_that_of_the_losses_along_the_way(shown, judged):
    pool = images()
    rule, found, start = one_window(FirstOrder(), pool, shown=shown, judged=judged)
    total = unrolled(rule, start, pool, shown=shown, judged=judged, second_order=False)
    for one, other in zip(found, torch.autograd.grad(total, list(rule.parameters())), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-12)


def test_the_second_order_gradient_goes_through_the_gradients_too():
    pool = images()
    rule, found, start = one_window(SecondOrder(), pool, shown=CLEAN, judged=MIXED, detach=False)
    total = unrolled(rule, start, pool, shown=CLEAN, judged=MIXED, second_order=True) / UPDATES
    exact = torch.autograd.grad(total, list(rule.parameters()))
    for one, other in zip(found, exact, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-12)
    constant = unrolled(rule, start, pool, shown=CLEAN, judged=MIXED, second_order=False) / UPDATES
    first = torch.autograd.grad(constant, list(rule.parameters()))
    assert not all(torch.allclose(a, b, rtol=1e-3) for a, b in zip(exact, first, strict=True))


def test_the_rule_is_shown_one_loss_and_judged_by_another():
    pool = images()
    one = task(pool, shown=CLEAN, judged=MIXED)
    z = one.start(pool)
    outside = one.follower_loss(pool, z)
    with one.inner_context():
        inside = one.follower_loss(pool, z)
    torch.testing.assert_close(outside, reference_loss(z, whole(pool), MIXED), rtol=1e-12, atol=0)
    torch.testing.assert_close(inside, reference_loss(z, whole(pool), CLEAN), rtol=1e-12, atol=0)
    assert float(one.leader_loss(pool, z)) == pytest.approx(float(outside), rel=1e-12)


def test_an_episode_begins_with_other_weights_and_no_memory():
    pool = images()
    rule = rule_in_float64()
    solver = bilevel.Solver(
        task(pool, episode=2), rule, steps=1, rule_optimizer=torch.optim.SGD(rule.parameters(), 0.0)
    )
    ages, starts = [], []
    for _ in range(4):
        starts.append(solver.follower.begin(pool)[0])
        ages.append(solver.follower.age)
        solver.step(pool)
    assert ages == [0, 1, 0, 1]
    assert not torch.equal(starts[0]["first.weight"], starts[2]["first.weight"])


def test_the_curriculum_is_the_plan_s():
    plan = Plan(windows=16, shortest=1, longest=4, growth=0.5, ramp=0.25)
    assert [plan.episode(step) for step in (0, 2, 4, 6, 8, 15)] == [1, 1, 2, 3, 4, 4]
    assert [plan.share(step) for step in range(6)] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert Plan(5, 1, 4).episode(0) == 4
    assert Plan(5, 1, 4).share(0) == 1.0
    pool, rule = images(), rule_in_float64()
    make = task(pool, episode=plan.episode(0))
    solver = bilevel.Solver(make, rule, rule_optimizer=torch.optim.SGD(rule.parameters(), 0.0))
    follow = Curriculum(solver, plan)
    lengths, length, shares = [], 0, []
    for _ in range(16):
        solver.step(pool)
        follow()
        shares.append(solver.task.share)
        length += 1
        if solver.follower.fresh:
            lengths.append(length)
            length = 0
    assert lengths == [1, 1, 1, 2, 2, 3, 4]
    assert shares[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: require_updates(10, 20), "The horizon, 10 updates, is shorter than the truncation, 20 updates"),
        (lambda: require_updates(50, 20), "choose 40, or another truncation"),
        (lambda: StopExplosions(0.0), "limit must be a finite number above 0"),
        (lambda: Plan(10, 4, 2), "they can only grow"),
        (lambda: Plan(10, 1, 2, growth=1.5), r"in \[0, 1\]; got 1.5"),
        (lambda: Plan(0, 1, 2), "windows"),
        (lambda: replace(QUICK, horizon=1), "shorter than the truncation"),
        (lambda: replace(QUICK, first_horizon=6), "first_horizon 6 is longer than the horizon 4"),
        (lambda: replace(QUICK, shown="robust"), "There is no gradient to be shown 'robust'"),
        (lambda: replace(QUICK, estimator="third-order"), "There is no estimator"),
        (lambda: replace(QUICK, data="quadratics"), "set alpha to 1"),
        (lambda: replace(QUICK, data="quadratics", alpha=1.0, device="cuda"), "set the device to cpu"),
        (lambda: replace(QUICK, model="convolutional", hidden=(3, 3)), "one hidden layer"),
        (lambda: replace(QUICK, groups=()), "at least one, each once"),
        (lambda: replace(QUICK, windows=5), "multiple of windows_per_row"),
        (lambda: build(replace(QUICK, groups=("conv*", "*"))), "pattern 'conv\\*' gets no tensor"),
        (lambda: build(replace(QUICK, batch_size=10_000)), "choose a smaller one"),
    ],
)
def test_what_does_not_fit_is_said(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()


def test_the_mixture_of_a_rule_that_never_sees_an_adversarial_example():
    never = build(replace(QUICK, alpha=1.0))
    assert never.solver.task.judged == CLEAN
    assert build(QUICK).solver.task.judged == Mixture(0.5, replace(ATTACK, eps=0.1))
