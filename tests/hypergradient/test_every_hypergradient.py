"""Every method on every problem that it admits, against the formula; the methods' own files test what is special."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
import torchopt
from hypergradients import ALL, AT_THE_OPTIMUM, IMPLICIT, STEP
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import Boxed, Exponential, Quadratic, Ridge, Saddle, Split, Tracking, hypergradient_of

import bilevel
from bilevel import (
    Checkpointed,
    Direct,
    FiniteDifference,
    Implicit,
    Truncated,
    Unrolled,
    ValueFunction,
)
from bilevel.linear import FixedPoint, Neumann

CLOSE = {"rtol": 0.0, "atol": 1e-9}
PROBLEMS = {
    "tracking": Tracking,
    "quadratic": Quadratic,
    "ridge": Ridge,
    "exponential": Exponential,
    "split": lambda: Split(Quadratic()),
}


def exact(task):
    if isinstance(task, Split):
        return exact(task.task)
    if isinstance(task, Tracking):
        z = task.a @ task.leader.detach()
        return task.b.T @ z + task.a.T @ (task.b @ task.leader.detach() + z)
    return task.exact


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("method", AT_THE_OPTIMUM)
def test_at_the_followers_optimum_the_exact_methods_are_exact(method, problem):
    task = PROBLEMS[problem]()
    step = 0.05 if problem == "ridge" else STEP
    chosen = Implicit(Neumann(400, step)) if method == "neumann" else AT_THE_OPTIMUM[method]
    found = hypergradient_of(task, chosen, torchopt.sgd(step), steps=400)
    torch.testing.assert_close(found, exact(task), **CLOSE)


@pytest.mark.parametrize("method", ["unrolled", "checkpointed", "truncated", "fixed point", "dense, of the rule"])
def test_a_constrained_follower(method):
    """What sees the projection is right where a constraint is active."""
    task = Boxed()
    found = hypergradient_of(task, AT_THE_OPTIMUM[method], torchopt.sgd(STEP), steps=300)
    torch.testing.assert_close(found, task.exact, **CLOSE)


def test_a_stationary_condition_where_a_constraint_is_active_warns():
    with pytest.warns(bilevel.SolverWarning, match=r"constraint of Boxed\.project is active.*FixedPoint"):
        hypergradient_of(Boxed(), Implicit(), torchopt.sgd(STEP), steps=100)


@pytest.mark.parametrize("method", ["direct", *AT_THE_OPTIMUM])
def test_at_the_optimum_of_a_zero_sum_game_all_methods_agree(method):
    """Danskin's theorem: the answer's influence is of second order."""
    task = Saddle()
    found = hypergradient_of(task, {"direct": Direct(), **AT_THE_OPTIMUM}[method], torchopt.sgd(STEP), steps=300)
    theta = task.leader.detach()
    torch.testing.assert_close(found, task.m @ task.m.T @ theta + theta, **CLOSE)


@pytest.mark.parametrize("steps", [1, 2, 7, 20])
@pytest.mark.parametrize("method", [Unrolled(), Checkpointed(), Checkpointed(3)], ids=str)
@pytest.mark.parametrize("split", [False, True])
def test_far_from_the_optimum_the_unroll_is_that_of_the_steps_made(method, steps, split):
    task = Quadratic()
    found = hypergradient_of(Split(task) if split else task, method, torchopt.sgd(STEP), steps)
    wanted = task.hypergradient(task.after(steps, STEP), task.slope(steps, STEP))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-11)


def partial(task, steps, terms):
    """The derivative through the last ``terms`` of ``steps`` updates."""
    return task.hypergradient(task.after(steps, STEP), task.slope(terms, STEP))


@pytest.mark.parametrize(("steps", "terms"), [(5, 1), (5, 3), (5, 5), (40, 4)])
def test_truncated(steps, terms):
    task = Quadratic()
    found = hypergradient_of(task, Truncated(terms), torchopt.sgd(STEP), steps)
    torch.testing.assert_close(found, partial(task, steps, terms), rtol=0, atol=1e-11)


@pytest.mark.parametrize("steps", [1, 5])
def test_finite_differences_are_one_truncated_step_where_the_follower_is_quadratic(steps):
    task = Quadratic()
    found = hypergradient_of(task, FiniteDifference(), torchopt.sgd(STEP), steps)
    torch.testing.assert_close(found, partial(task, steps, 1), rtol=0, atol=1e-9)


@given(seed=st.integers(0, 10_000), terms=st.integers(1, 12), step=st.floats(0.01, 0.6))
@settings(max_examples=30)
def test_truncated_is_neumann_where_the_follower_stands_still(seed, terms, step):
    task = Quadratic(seed)
    task.start = lambda batch: task.solution
    truncated = hypergradient_of(task, Truncated(terms), torchopt.sgd(step), terms)
    neumann = hypergradient_of(task, Implicit(Neumann(terms, step)), torchopt.sgd(step), 1)
    iterated = hypergradient_of(task, Implicit(FixedPoint(terms)), torchopt.sgd(step), 1)
    torch.testing.assert_close(truncated, neumann, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(truncated, iterated, rtol=1e-9, atol=1e-9)


@given(seed=st.integers(0, 10_000), terms=st.integers(1, 20), step=st.floats(0.01, 0.6), which=st.integers(0, 3))
@settings(max_examples=30)
def test_neumanns_relative_error_along_an_eigenvector_is_a_power(seed, terms, step, which):
    r"""Of K terms along curvature λ exactly (1 - ηλ)^K."""
    task = Quadratic(seed)
    task.start = lambda batch: task.solution
    direction, curvature = task.basis[:, which], task.curvatures[which]
    # ∂ℓ/∂z along one eigenvector.
    task.t = task.p @ task.solution + task.b @ task.leader.detach() - direction
    found = hypergradient_of(task, Implicit(Neumann(terms, step)), torchopt.sgd(step), 1)
    direct = task.slopes_at(task.solution)[0]
    through = task.a.T @ direction / curvature
    torch.testing.assert_close(found - direct, (1 - (1 - step * curvature) ** terms) * through, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("penalty", [1.0, 10.0, 1e3])
@pytest.mark.parametrize("curvature", [0.5, 2.0])
def test_the_value_functions_estimate_over_the_exact_one(penalty, curvature):
    """q = a/2 (z - θ)², ℓ = z²/2: it is λa/(1 + λa)."""

    class Follow(bilevel.Task):
        def start(self, batch):
            return self.leader.detach()

        def follower_loss(self, batch, z):
            return 0.5 * curvature * (z - self.leader).square()

        def leader_loss(self, batch, z):
            return 0.5 * z.square()

    task = Follow(torch.nn.Parameter(torch.tensor(1.7, dtype=torch.float64)))
    found = hypergradient_of(task, ValueFunction(penalty), torchopt.sgd(0.3), steps=400)
    ratio = penalty * curvature / (1 + penalty * curvature)
    assert (found / task.leader.detach()).item() == pytest.approx(ratio, abs=1e-10)


@pytest.mark.parametrize("penalty", [1e2, 1e4])
@pytest.mark.parametrize("problem", ["quadratic", "exponential", "ridge"])
def test_the_value_functions_error_falls_as_the_penalty_grows(problem, penalty):
    """By a factor of ten for ten times the penalty, to first order."""
    task, step = PROBLEMS[problem](), 0.05 if problem == "ridge" else STEP

    def error(weight):
        found = hypergradient_of(task, ValueFunction(weight), torchopt.sgd(step), steps=1500)
        return torch.linalg.vector_norm(found - exact(task)).item()

    assert error(10 * penalty) / error(penalty) == pytest.approx(0.1, rel=0.2)


@given(
    seed=st.integers(0, 1000),
    factors=st.tuples(st.floats(-2, 2), st.floats(-2, 2)),
    method=st.sampled_from(
        [Direct(), Unrolled(), Checkpointed(2), Truncated(2), FiniteDifference(), *IMPLICIT.values()]
    ),
)
@settings(max_examples=25)
def test_the_hypergradient_is_linear_in_the_leaders_loss(seed, factors, method):
    """aℓ₁ + bℓ₂ has a times the hypergradient of ℓ₁ plus b times that of ℓ₂, whatever follower they share."""
    one, other = Quadratic(seed), Quadratic(seed)
    other.p, other.b, other.q, other.t = torch.eye(4).double(), -one.b, one.q.T * 2, torch.ones(4).double()
    both = Quadratic(seed)
    both.leader_loss = lambda batch, z: (
        factors[0] * one.leader_loss(batch, z) + factors[1] * other.leader_loss(batch, z)
    )
    one.leader = other.leader = both.leader
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, first, second = (hypergradient_of(task, method, torchopt.sgd(0.1), 4) for task in (both, one, other))
    torch.testing.assert_close(found, factors[0] * first + factors[1] * second, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("method", ALL)
def test_splitting_z_into_several_tensors_changes_nothing(method):
    found = []
    for task in (Quadratic(), Split(Quadratic())):
        torch.manual_seed(0)
        found.append(hypergradient_of(task, ALL[method], torchopt.sgd(0.1), 4))
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("answers", [1, 3, 5])
def test_the_leaders_loss_may_be_averaged_over_the_last_answers(answers):
    task = Quadratic()
    found = hypergradient_of(task, Unrolled(answers=answers), torchopt.sgd(STEP), 5)
    last = range(6 - answers, 6)
    wanted = sum(task.hypergradient(task.after(t, STEP), task.slope(t, STEP)) for t in last) / answers
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-11)


def test_more_answers_than_there_are_steps_are_refused():
    with pytest.raises(
        bilevel.ConfigurationError, match=r"Unrolled\(answers=3\) averages over more answers than the 2"
    ):
        hypergradient_of(Quadratic(), Unrolled(answers=3), torchopt.sgd(STEP), 2)


def test_nothing_grows_over_a_thousand_steps():
    script = Path(__file__).with_name("thousand_outer_steps.py")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["flat"] * 12, done.stdout + done.stderr
