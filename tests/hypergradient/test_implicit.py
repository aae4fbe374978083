from __future__ import annotations

import math
import warnings

import pytest
import torch
import torchopt
from problems import Quadratic, Remembering, hypergradient_of, sgd
from torch import nn

import bilevel
from bilevel import ConfigurationError, ConvergenceError, Implicit, Solver, SolverWarning, SteadyRule
from bilevel.linear import ConjugateGradient, Dense, FixedPoint, Neumann


class Line(bilevel.Task):
    """Many answers: q = ½(z₁ + z₂ - θ)², whose Hessian is singular; ℓ = z₁ pulls across, ℓ = z₁ + z₂ along."""

    def __init__(self, across):
        self.across = across
        super().__init__(nn.Parameter(torch.tensor(1.0, dtype=torch.float64)))

    def start(self, batch):
        return torch.zeros(2, dtype=torch.float64)

    def follower_loss(self, batch, z):
        return 0.5 * (z.sum() - self.leader).square()

    def leader_loss(self, batch, z):
        return z[0] if self.across else z.sum()


def test_a_singular_hessian_warns_and_offers_damping():
    task = Line(across=True)
    with pytest.warns(SolverWarning, match=r"Line has the status singular.*add damping=1e-3"):
        found = hypergradient_of(task, Implicit(Dense()), torchopt.sgd(0.1), 200)
    # The least-squares solution: z moves along (1, 1)/2, as the unrolled gradient steps from 0 do.
    assert found.item() == pytest.approx(0.5, abs=1e-12)
    with pytest.warns(SolverWarning, match="singular"):
        hypergradient_of(task, Implicit(), torchopt.sgd(0.1), 200)


@pytest.mark.parametrize("solver", [Dense, ConjugateGradient])
@pytest.mark.parametrize("damping", [1e-1, 1e-3])
def test_with_damping_the_answer_is_that_of_the_damped_system(solver, damping):
    """(H + δI)x = (1, 0) has x = (1/δ - 1/(2 + δ)... ) and (1, 1)·x = 1/(2 + δ)."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = hypergradient_of(Line(across=True), Implicit(solver(damping=damping)), torchopt.sgd(0.1), 200)
    assert found.item() == pytest.approx(1 / (2 + damping), abs=1e-9)


def test_a_singular_hessian_that_does_not_matter_converges_silently():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = hypergradient_of(Line(across=False), Implicit(), torchopt.sgd(0.1), 200)
    assert found.item() == pytest.approx(1.0, abs=1e-12)


class Saddle(bilevel.Task):
    def start(self, batch):
        return torch.zeros(2, dtype=torch.float64)

    def follower_loss(self, batch, z):
        return z[0] ** 2 - z[1] ** 2 + (z * self.leader).sum()

    def leader_loss(self, batch, z):
        return z.sum()


def test_an_answer_that_is_no_minimum_is_reported():
    task = Saddle(nn.Parameter(torch.zeros(2, dtype=torch.float64)))
    with pytest.warns(SolverWarning, match=r"status indefinite.*no minimum"):
        hypergradient_of(task, Implicit(), torchopt.sgd(0.1), 1)


def record_of(method, steps=400):
    task = Quadratic()
    solver = Solver(task, torchopt.sgd(0.3), steps=steps, leader_optimizer=sgd(task.leader), hypergradient=method)
    return solver.step(None)


def test_the_record_says_how_the_solver_ended():
    record = record_of(Implicit(ConjugateGradient()))
    assert record.status == "converged"
    assert 1 <= record.iterations <= 4
    assert record.residual < 1e-10
    assert record.values()["residual"] == record.residual.item()
    record = record_of(Implicit(ConjugateGradient(max_steps=1)))
    assert (record.status, record.iterations) == ("max_steps", 1)
    assert 1e-6 < record.residual < 10
    record = record_of(bilevel.Direct())
    assert (record.status, record.iterations, record.residual) == (None, None, None)


def test_the_residual_is_that_of_the_system():
    """Of K Neumann terms it is |(I - ηH)^K b| / |b|."""
    task = Quadratic()
    task.start = lambda batch: task.solution
    solver = Solver(task, torchopt.sgd(0.3), leader_optimizer=sgd(task.leader), hypergradient=Implicit(Neumann(6, 0.2)))
    b = task.slopes_at(task.solution)[1]
    wanted = torch.linalg.vector_norm(task.contraction(6, 0.2) @ b) / torch.linalg.vector_norm(b)
    assert solver.step(None).residual.item() == pytest.approx(wanted.item(), rel=1e-9)


def test_an_exception_on_request():
    with pytest.raises(ConvergenceError, match=r"status max_steps after 1 iterations of ConjugateGradient"):
        record_of(Implicit(ConjugateGradient(max_steps=1), throw=True))
    record_of(Implicit(throw=True))


def test_a_diverging_series_warns():
    with pytest.warns(SolverWarning, match=r"status diverged.*Neumann needs a step below"):
        record_of(Implicit(Neumann(50, 2.0)))


def test_a_series_that_is_short_on_purpose_is_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert record_of(Implicit(Neumann(2, 0.1))).status == "max_steps"


@pytest.mark.parametrize("solver", ["cg", ConjugateGradient, None])
def test_a_solver_must_be_one(solver):
    with pytest.raises((ConfigurationError, TypeError), match="solver"):
        Implicit(solver)


def test_conjugate_gradient_cannot_solve_a_system_that_is_not_symmetric():
    with pytest.raises(ConfigurationError, match="needs a symmetric system, which that of SteadyRule is not"):
        Implicit(ConjugateGradient(), SteadyRule())


class Shrink(nn.Module):
    """A learned rule: move by φ·gradient, which stands still where the gradient is 0."""

    def __init__(self):
        super().__init__()
        self.size = nn.Parameter(torch.tensor(-0.2, dtype=torch.float64))

    def init(self, params):
        return ()

    def update(self, grads, state, *, params=None, inplace=False):
        return self.size * grads, state


@pytest.mark.parametrize(
    "rule", [torchopt.sgd(0.1, momentum=0.5), Shrink().requires_grad_(False)], ids=["momentum", "learned"]
)
def test_the_rules_own_fixed_point(rule):
    """Whatever rule stands still at the answer, the derivative is that of the answer."""
    task = Quadratic()
    found = hypergradient_of(task, Implicit(FixedPoint(600)), rule, 600)
    torch.testing.assert_close(found, task.exact, rtol=0, atol=1e-8)


def test_a_living_follower_is_differentiated_where_it_stands():
    """In simultaneous play: no move is needed for it."""
    task = Quadratic()
    task.lives_on = True
    task.start = lambda batch: task.solution
    found = hypergradient_of(task, Implicit(), torchopt.sgd(0.1), 1)
    torch.testing.assert_close(found, task.exact, rtol=0, atol=1e-10)


def test_the_answers_gradient_for_a_task_that_remembers():
    task = Remembering()
    hypergradient_of(task, Implicit(), torchopt.sgd(0.1), 3)
    z, gradient = task.seen
    torch.testing.assert_close(gradient, task.slopes_at(z)[1], rtol=0, atol=1e-12)


def test_a_frozen_part_of_the_leader_gets_no_gradient():
    class Two(bilevel.Task):
        def start(self, batch):
            return torch.zeros((), dtype=torch.float64)

        def follower_loss(self, batch, z):
            return 0.5 * (z - self.leader[0] * self.leader[1]) ** 2

        def leader_loss(self, batch, z):
            return z

    pair = [nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in (2.0, 3.0)]
    task = Two(pair)
    solver = Solver(task, torchopt.sgd(1.0), leader_optimizer=sgd([pair[1]]), hypergradient=Implicit())
    solver.step(None)
    assert pair[0].item() == 2.0
    assert math.isclose(pair[1].item(), 3.0 - 2.0, abs_tol=1e-12)
    assert all(p.requires_grad for p in pair)
