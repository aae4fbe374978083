"""The general-sum games: every closed form against autograd, and against what plays arrive at."""

from __future__ import annotations

import math

import pytest
import torch
import torchopt
from hypothesis import given
from hypothesis import strategies as st

import bilevel
from bilevel.errors import ConfigurationError
from tasks.toy import BilevelGame, Duopoly, ManySolutions, QuadraticQuadratic, jacobian, play

seeds = st.integers(0, 10_000)
KINDS = ("duopoly", "quadratic", "many")


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


def draw_game(kind, seed) -> BilevelGame:
    """A random game of the kind."""
    draw = torch.Generator().manual_seed(seed)
    numbers = torch.randn(5, generator=draw, dtype=torch.float64).tolist()
    if kind == "duopoly":
        theta, z, first, second, slope = numbers
        return Duopoly(theta, z, leader_margin=first, follower_margin=second, slope=0.1 + abs(slope))
    if kind == "quadratic":
        sizes = torch.randint(1, 6, (2,), generator=draw).tolist()
        return QuadraticQuadratic.random(
            seed, leader_size=sizes[0], follower_size=sizes[1], condition=1 + 20 * abs(numbers[0])
        )
    size = int(torch.randint(2, 6, (), generator=draw))
    z, direction, weights, target = torch.randn(4, size, generator=draw, dtype=torch.float64)
    return ManySolutions(
        numbers[0],
        z,
        direction=direction,
        weights=0.2 + weights.abs(),
        target=target,
        cost=0.1 + abs(numbers[1]),
    )


def somewhere(game, seed):
    draw = torch.Generator().manual_seed(seed + 1)
    theta, z = (torch.randn(p.shape, generator=draw, dtype=torch.float64) for p in (game.leader, game.z))
    return theta.requires_grad_(), z.requires_grad_()


def slope(value, place, **settings):
    (found,) = torch.autograd.grad(value, place, **settings)
    return found


def assert_close(found, expected, tolerance=1e-10):
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, rtol=tolerance, atol=tolerance), (found, expected)


@pytest.mark.parametrize("kind", KINDS)
@given(seeds)
def test_the_answer_is_one_and_the_hypergradient_is_autograds(kind, seed):
    game = draw_game(kind, seed)
    theta, _ = somewhere(game, seed)
    z = game.answer(theta)
    at = z.detach().requires_grad_()
    assert_close(slope(game.follower_value(theta, at), at), torch.zeros_like(at))
    assert_close(game.hypergradient(theta), slope(game.hyperobjective(theta), theta))


@pytest.mark.parametrize("kind", KINDS)
@given(seeds)
def test_away_from_the_answer_the_hypergradient_is_implicit_differentiations(kind, seed):
    r"""∂_θ ℓ - (∂_θ ∂_z q)ᵀ (∂_z ∂_z q)⁺ ∂_z ℓ, the pseudo-inverse where the Hessian is singular."""
    game = draw_game(kind, seed)
    theta, z = somewhere(game, seed)
    by_theta, by_z = torch.autograd.grad(game.leader_value(theta, z), (theta, z))
    hessian = torch.autograd.functional.hessian(lambda at: game.follower_value(theta, at), z).reshape(z.numel(), -1)
    through = torch.linalg.pinv(hessian, hermitian=True) @ by_z.reshape(-1)
    push = slope(game.follower_value(theta, z), z, create_graph=True)
    assert_close(game.hypergradient(theta, z), by_theta - slope(push.reshape(-1) @ through.detach(), theta))


@pytest.mark.parametrize("kind", KINDS)
@given(seeds)
def test_the_solution_is_the_least_of_the_hyperobjective(kind, seed):
    game = draw_game(kind, seed)
    theta, z = game.solution
    assert_close(z, game.answer(theta))
    assert_close(game.hypergradient(theta), torch.zeros_like(theta))
    assert game.distance(theta, z) == 0
    other, _ = somewhere(game, seed)
    assert game.distance(other.detach(), z) == pytest.approx(float((other - theta).detach().norm()), rel=1e-12)
    curved = torch.autograd.functional.hessian(game.hyperobjective, theta).reshape(theta.numel(), -1)
    assert torch.linalg.eigvalsh(curved)[0] > 0  # F is a quadratic, so that this makes it the minimum
    assert game.hyperobjective(other.detach()) > game.hyperobjective(theta)


@pytest.mark.parametrize("kind", KINDS)
@given(seeds)
def test_at_the_nash_point_nobody_is_pushed_and_the_leader_has_no_less(kind, seed):
    game = draw_game(kind, seed)
    theta, z = (place.requires_grad_() for place in game.nash)
    scale = 1 + float(theta.detach().abs().max())  # the point may lie far off
    assert_close(slope(game.leader_value(theta, z), theta) / scale, torch.zeros_like(theta))
    assert_close(slope(game.follower_value(theta, z), z) / scale, torch.zeros_like(z))
    assert game.leader_value(theta, z) >= game.hyperobjective(game.solution[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_unroll_is_the_closed_form(kind):
    game = draw_game(kind, 3)
    theta, _ = somewhere(game, 3)
    at = game.z.clone().requires_grad_()
    hessian = torch.autograd.functional.hessian(lambda z: game.follower_value(theta, z), at).reshape(at.numel(), -1)
    step = 1 / float(torch.linalg.eigvalsh(hessian)[-1])
    with torch.no_grad():
        z = game.z
    for _ in range(400):
        z = z if z.requires_grad else z.clone().requires_grad_()
        z = z - step * slope(game.follower_value(theta, z), z, create_graph=True)
    assert_close(z, game.answer(theta))
    assert_close(slope(game.leader_value(theta, z), theta), game.hypergradient(theta))


@given(seeds, st.integers(0, 12), st.floats(0.01, 1.9))
def test_a_few_steps_on_the_quadratic_are_its_closed_forms(seed, steps, size):
    game = draw_game("quadratic", seed)
    theta, _ = somewhere(game, seed)
    z, share = game.z, torch.zeros_like(game.hessian)
    for _ in range(steps):
        z = z - size * (game.hessian @ z - game.coupling @ theta - game.offset)
        share = share + size * torch.linalg.matrix_power(torch.eye(len(z)).double() - size * game.hessian, _)
    assert_close(game.answer_after(theta, steps, size), z)
    found = game.unrolled_hypergradient(theta, steps, size)
    assert_close(found, slope(game.leader_value(theta, z), theta))
    # The Neumann series of as many terms, at the same point.
    at = z.detach().requires_grad_()
    by_theta, by_z = torch.autograd.grad(game.leader_value(theta, at), (theta, at))
    assert_close(found, by_theta + game.coupling.T @ share @ by_z)


@given(seeds, st.integers(1, 6), st.integers(1, 6), st.floats(1, 1e4))
def test_a_random_quadratic_has_the_stated_conditioning(seed, n, m, condition):
    game = QuadraticQuadratic.random(seed, leader_size=n, follower_size=m, condition=condition)
    for matrix in (game.hessian, game.weight, game.cost):
        values = torch.linalg.eigvalsh(matrix)
        assert float(values[0]) == pytest.approx(1 / condition, rel=1e-8)
        if len(values) > 1:
            assert float(values[-1]) == pytest.approx(1, rel=1e-10)
            assert torch.allclose(values[1:] / values[:-1], values[1] / values[0], rtol=1e-7, atol=0)
    singular = torch.linalg.svdvals(torch.linalg.solve(game.hessian, game.coupling))
    assert torch.allclose(singular, torch.ones_like(singular), rtol=1e-8, atol=0)
    values = torch.linalg.eigvalsh(game.leader_hessian)
    assert 1 / (2 * condition) * (1 - 1e-6) <= float(values[0])
    assert float(values[-1]) <= 3 + 1e-9
    joint = torch.cat([torch.cat([game.cost, game.cross], 1), torch.cat([game.cross.T, game.weight], 1)])
    assert float(torch.linalg.eigvalsh(joint)[0]) >= 1 / (2 * condition) * (1 - 1e-6)


def test_the_seed_decides_the_quadratic_and_nobody_elses_numbers():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    one, again, other = (QuadraticQuadratic.random(seed).hessian for seed in (0, 0, 1))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def solve(game, step, steps, move_leader):
    """Simultaneous steps by hand."""
    theta, z = game.leader.detach().clone(), game.z
    for _ in range(steps):
        at_theta, at = theta.clone().requires_grad_(), z.clone().requires_grad_()
        push = slope(game.follower_value(theta, at), at)
        theta, z = theta - step * move_leader(at_theta, z).detach(), z - step * push
    return theta, z


@pytest.mark.parametrize("kind", ["duopoly", "many"])
def test_a_leader_that_takes_the_answer_for_a_constant_goes_to_nash(kind):
    game = draw_game(kind, 5)
    step = 0.5 / float(torch.linalg.eigvals(jacobian(game, game.leader.detach(), game.z)).abs().max())
    solver = bilevel.Solver(game, torchopt.sgd(lr=step), leader_optimizer=torch.optim.SGD([game.leader], lr=step))
    nash = game.nash
    one = play(solver, 1000, every=1000)
    assert_close(one.x[-1], nash[0].reshape(-1), 1e-9)
    assert_close(one.y[-1], nash[1].reshape(-1), 1e-9)
    assert float(one.distance[0]) == game.distance(one.x[0].reshape(game.leader.shape), game.z)
    assert float(one.distance[-1]) == pytest.approx(game.distance(*nash), abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_leader_that_moves_along_the_hypergradient_goes_to_the_solution(kind):
    game = draw_game(kind, 5)
    step = 0.5 / float(torch.linalg.eigvals(jacobian(game, game.leader.detach(), game.z)).abs().max())
    theta, z = solve(game, step, 2000, game.hypergradient)
    assert game.distance(theta, z) < 1e-9


@given(seeds)
def test_duopoly_in_figures(seed):
    margin, b = 0.5 + seed / 1000, 0.3 + (seed % 7)
    game = Duopoly(leader_margin=margin, follower_margin=margin, slope=b)
    for point, shares in ((game.nash, (9, 9)), (game.solution, (8, 16))):
        losses = game.leader_value(*point), game.follower_value(*point)
        for loss, share in zip(losses, shares, strict=True):
            assert float(loss) == pytest.approx(-(margin**2) / (share * b), rel=1e-12)
    theta, z = (place.requires_grad_() for place in game.nash)
    eigenvalues = sorted(torch.linalg.eigvals(jacobian(game, theta, z)).real.tolist())
    assert eigenvalues == pytest.approx([-3 * b, -b], rel=1e-12)
    total = torch.autograd.functional.jacobian(lambda at: game.hypergradient(at[0], at[1]), vector(0.3, 0.4))
    flow = -torch.stack([total, vector(b, 2 * b)])
    assert float(torch.trace(flow)) == pytest.approx(-3.5 * b, rel=1e-12)
    assert float(torch.linalg.det(flow)) == pytest.approx(2 * b * b, rel=1e-12)


@given(seeds)
def test_of_many_solutions_the_start_chooses(seed):
    game = draw_game("many", seed)
    theta, other = somewhere(game, seed)
    a = game.direction
    answer = game.answer(theta)
    across = torch.linalg.qr(torch.cat([a[:, None], torch.eye(len(a)).double()], 1)).Q[:, 1:]
    assert_close(across.T @ (answer - game.z), torch.zeros(len(a) - 1).double())  # straight along a: the nearest answer
    # After a detour over another θ it is the same.
    detour = ManySolutions(0.0, game.answer(other[0]).detach(), direction=a, weights=game.weights, target=game.target)
    assert_close(detour.answer(theta), answer)
    # What the leader would have chosen, a minimum over z and over θ.
    best, z = game.optimistic
    assert_close(a @ z, best)
    assert game.leader_value(best, z) <= game.hyperobjective(game.solution[0]) + 1e-12
    push = game.weights * (z - game.target)
    assert_close(push, a * (a @ push) / (a @ a))  # ∂_z ℓ has no part along the plane
    assert_close(game.cost * best + a @ push / (a @ a), torch.zeros_like(best))
    # A follower that begins there stays there, and then the leader has its wish.
    lucky = ManySolutions(0.0, z, direction=a, weights=game.weights, target=game.target, cost=game.cost)
    assert_close(lucky.solution[0], best)
    assert_close(lucky.solution[1], z)


@given(seeds, st.floats(1e-6, 10))
def test_damping_gives_its_share_of_the_answers_derivative(seed, damping):
    game = draw_game("many", seed)
    theta, z = somewhere(game, seed)
    by_theta, by_z = torch.autograd.grad(game.leader_value(theta, z), (theta, z))
    square = float(game.direction @ game.direction)
    identity = torch.eye(len(z), dtype=torch.float64)
    solved = torch.linalg.solve(torch.outer(game.direction, game.direction) + damping * identity, by_z)
    found = game.hypergradient(theta, z, damping=damping)
    assert float(found.detach()) == pytest.approx(float(by_theta + game.direction @ solved), rel=1e-6, abs=1e-6)
    exact = game.hypergradient(theta, z)
    share = square / (square + damping)
    assert_close(found - by_theta, share * (exact - by_theta))


def test_without_damping_the_singular_system_has_no_solution():
    game = ManySolutions()
    theta = torch.tensor(0.7, dtype=torch.float64)
    z = game.answer(theta).requires_grad_()
    by_z = slope(game.leader_value(theta, z), z)
    hessian = torch.autograd.functional.hessian(lambda at: game.follower_value(theta, at), z)
    assert torch.linalg.matrix_rank(hessian) == 1
    least = torch.linalg.lstsq(hessian, by_z[:, None], driver="gelsd").solution[:, 0]
    assert float((hessian @ least - by_z).norm()) > 0.1 * float(by_z.norm())  # the best v leaves a residual


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Duopoly(math.nan), "theta must be a finite"),
        (lambda: Duopoly(z=3.0, bound=2.0), "outside its bound"),
        (lambda: Duopoly(bound=0.0), "above 0"),
        (lambda: Duopoly(slope=0.0), "slope above 0"),
        (lambda: Duopoly(leader_margin=math.inf), "finite margins"),
        (lambda: ManySolutions(z=(1.0, 2.0, 3.0)), "of as many"),
        (lambda: ManySolutions(z=1.0), "at least 2"),
        (lambda: ManySolutions(cost=0.0), "cost and weights above 0"),
        (lambda: ManySolutions(weights=(1.0, -1.0)), "cost and weights above 0"),
        (lambda: ManySolutions(direction=(0.0, 0.0)), "not 0"),
        (lambda: QuadraticQuadratic.random(condition=0.5), "at least 1"),
        (lambda: QuadraticQuadratic.random(leader_size=0), "at least 1"),
    ],
)
def test_a_game_refuses_what_it_cannot_be(make, words):
    with pytest.raises(ConfigurationError, match=words):
        make()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hessian": torch.diag(vector(1.0, -1.0))}, "no single answer.*eigenvalue -1"),
        ({"hessian": torch.ones(2, 3).double()}, r"hessian must be finite and of shape \(2, 2\)"),
        ({"weight": torch.ones(2, 2).double().triu()}, "weight must be symmetric"),
        ({"cost": -torch.eye(1).double()}, "no solution"),
        ({"cross": vector(math.nan, 0.0)[None]}, "cross must be finite"),
        ({"theta": 1.0}, "vector of one"),
    ],
)
def test_a_quadratic_game_says_which_part_is_wrong(change, words):
    settings = {
        "theta": vector(1.0),
        "z": vector(0.0, 0.0),
        "hessian": torch.eye(2).double(),
        "coupling": torch.zeros(2, 1).double(),
        "offset": vector(1.0, 1.0),
        "weight": torch.eye(2).double(),
        "target": vector(0.0, 1.0),
        "cost": torch.eye(1).double(),
        "cross": torch.zeros(1, 2).double(),
    }
    QuadraticQuadratic(**settings)
    with pytest.raises(ConfigurationError, match=words):
        QuadraticQuadratic(**{**settings, **change})


def test_a_bound_keeps_the_follower():
    game = Duopoly(1.0, 0.1, bound=0.25)
    assert float(game.project(None, torch.tensor(3.0).double())) == 0.25
    solver = bilevel.Solver(game, torchopt.sgd(lr=5.0), leader_optimizer=torch.optim.SGD([game.leader], lr=1e-3))
    assert float(play(solver, 3).y.abs().max()) == 0.25
