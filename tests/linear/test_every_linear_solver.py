from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from linear_systems import Counted, draw, positive, relative_residual

from bilevel import ConfigurationError
from bilevel.linear import ConjugateGradient, Dense, FixedPoint, Neumann, Status, advice

# Each of them solves a system with eigenvalues from 0.1 to 1.
SOLVERS = {
    "conjugate gradient": ConjugateGradient(),
    "conjugate gradient, checked rarely": ConjugateGradient(check_every=6),
    "Neumann": Neumann(terms=400, step=1.0),
    "fixed point": FixedPoint(steps=400),
    "dense": Dense(),
}
DAMPED = {
    "conjugate gradient": lambda damping: ConjugateGradient(damping=damping),
    "Neumann": lambda damping: Neumann(terms=400, step=1.0, damping=damping),
    "dense": lambda damping: Dense(damping=damping),
}
every_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS.keys())
# Between a solver's own residual and one computed anew: it differs by processor.
ROUNDING = 1e-12
SEEDS, SIZES = st.integers(0, 10_000), st.integers(1, 8)


@every_solver
@given(seed=SEEDS, n=SIZES)
def test_it_solves_the_system(solver, seed, n):
    h, b = positive(seed, n), draw(seed + 1, n)
    before = b.clone()
    found = solver.solve(h.mv, b)
    exact = torch.linalg.solve(h, b)
    assert (found.x - exact).norm() <= 1e-9 * exact.norm()
    assert found.status is Status.CONVERGED
    torch.testing.assert_close(found.residual, relative_residual(h, found.x, b), rtol=0, atol=ROUNDING)
    assert torch.equal(b, before)


@every_solver
@given(seed=SEEDS, exponent=st.integers(-1000, 1000))
def test_the_scale_of_b_makes_no_difference(solver, seed, exponent):
    """A power of two, so that not one bit may change: no square of b over- or underflows."""
    h, b = positive(seed, 4), draw(seed + 1, 4)
    scale = 2.0**exponent
    found, scaled = solver.solve(h.mv, b), solver.solve(h.mv, scale * b)
    assert torch.equal(scaled.x, scale * found.x)
    assert torch.equal(scaled.residual, found.residual)
    assert (scaled.iterations, scaled.status) == (found.iterations, found.status)


@pytest.mark.parametrize("solver", [ConjugateGradient(), Dense()])
@given(seed=SEEDS, exponent=st.integers(-300, 300))
def test_the_scale_of_the_matrix_makes_no_difference(solver, seed, exponent):
    h, b = positive(seed, 4), draw(seed + 1, 4)
    scale = 2.0**exponent
    found, scaled = solver.solve(h.mv, b), solver.solve((scale * h).mv, b)
    torch.testing.assert_close(scaled.x, found.x / scale, rtol=1e-10, atol=0)
    assert (scaled.iterations, scaled.status) == (found.iterations, found.status)


@every_solver
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dtype_is_kept(solver, dtype):
    h, b = positive(3, 5).to(dtype), draw(4, 5).to(dtype)
    found = solver.solve(h.mv, b)
    assert found.x.dtype is found.residual.dtype is dtype
    assert found.status is Status.CONVERGED
    exact = torch.linalg.solve(h.double(), b.double())
    assert (found.x - exact).norm() <= (1e-9 if dtype is torch.float64 else 2e-4) * exact.norm()


@every_solver
@pytest.mark.parametrize("n", [0, 3])
def test_zero_is_the_solution_for_zero(solver, n):
    operator = Counted(torch.zeros(n, n))
    found = solver.solve(operator, torch.zeros(n))
    assert (found.x.tolist(), float(found.residual)) == ([0] * n, 0)
    assert (found.iterations, found.status, operator.calls) == (0, Status.CONVERGED, 0)


@every_solver
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_right_hand_side_that_is_not_finite_has_no_answer(solver, value):
    found = solver.solve(lambda v: v, torch.tensor([1.0, value]))
    assert (found.iterations, found.status) == (0, Status.DIVERGED)
    assert found.x.isnan().all()
    assert found.residual.isnan()


@every_solver
def test_nothing_of_the_answer_has_a_graph(solver):
    weight = torch.tensor(0.5, requires_grad=True)
    found = solver.solve(lambda v: weight * v, torch.ones(3, requires_grad=True))
    assert not found.x.requires_grad
    assert not found.residual.requires_grad
    torch.testing.assert_close(found.x, torch.full((3,), 2.0), rtol=1e-4, atol=0)


@every_solver
def test_an_operator_may_differentiate_through_a_graph_of_its_own(solver):
    """H of log-cosh, by a second derivative whose graph is kept."""
    z = torch.tensor([0.1, -0.3, 0.5], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(z.cosh().log().sum(), z, create_graph=True)

    def product(v):
        return torch.autograd.grad(gradient, z, v, retain_graph=True)[0]

    found = solver.solve(product, torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(found.x, z.detach().cosh().square(), rtol=1e-9, atol=0)


@every_solver
def test_what_the_operator_was_given_stays_as_it_was(solver):
    given = []

    def product(v):
        given.append((v, v.clone()))
        return 0.5 * v

    solver.solve(product, torch.tensor([1.0, 2.0]))
    assert given
    assert all(torch.equal(v, copy) for v, copy in given)


@every_solver
def test_an_operator_may_return_its_argument(solver):
    found = solver.solve(lambda v: v, torch.tensor([1.0, 2.0]))
    assert (found.x.tolist(), float(found.residual)) == ([1, 2], 0)


@pytest.mark.parametrize("make", DAMPED.values(), ids=DAMPED.keys())
@given(seed=SEEDS, damping=st.floats(0, 0.5))
def test_damping_belongs_to_the_matrix(make, seed, damping):
    h, b = positive(seed, 5), draw(seed + 1, 5)
    found = make(damping).solve(h.mv, b)
    damped = h + damping * torch.eye(5, dtype=torch.float64)
    torch.testing.assert_close(found.x, torch.linalg.solve(damped, b), rtol=0, atol=1e-8)
    torch.testing.assert_close(found.residual, relative_residual(damped, found.x, b), rtol=0, atol=ROUNDING)


BAD = [0.0, -1.0, math.nan, math.inf]


@pytest.mark.parametrize(
    ("make", "name"),
    [
        *[(lambda t=t: ConjugateGradient(tolerance=t), "tolerance") for t in BAD],
        *[(lambda t=t: Neumann(2, 0.1, tolerance=t), "tolerance") for t in BAD],
        *[(lambda t=t: FixedPoint(2, tolerance=t), "tolerance") for t in BAD],
        *[(lambda d=d: ConjugateGradient(damping=d), "damping") for d in BAD[1:]],
        *[(lambda d=d: Neumann(2, 0.1, damping=d), "damping") for d in BAD[1:]],
        *[(lambda d=d: Dense(damping=d), "damping") for d in BAD[1:]],
        *[(lambda s=s: Neumann(2, s), "step") for s in BAD],
        (lambda: Neumann(0, 0.1), "terms"),
        (lambda: FixedPoint(0), "steps"),
        (lambda: FixedPoint(1, check_every=0), "check_every"),
        (lambda: ConjugateGradient(check_every=0), "check_every"),
        (lambda: ConjugateGradient(max_steps=0), "max_steps"),
    ],
)
def test_a_setting_outside_its_range_is_refused(make, name):
    with pytest.raises(ConfigurationError, match=f"{name} must be"):
        make()


def test_there_is_advice_for_every_failure():
    assert advice(Status.CONVERGED) is None
    for status, word in (
        (Status.MAX_STEPS, "more steps"),
        (Status.SINGULAR, "damping=1e-3"),
        (Status.INDEFINITE, "no minimum"),
        (Status.DIVERGED, "finite"),
    ):
        assert word in str(advice(status))
    assert {status for status in Status if advice(status) is None} == {Status.CONVERGED}
