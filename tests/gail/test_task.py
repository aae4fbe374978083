import math

import pytest
import torch

import bilevel
from bilevel.errors import ConfigurationError
from tasks.gail.batch import Halves, ImitationBatch, Whole
from tasks.gail.discriminator import Discriminator
from tasks.gail.normaliser import RunningNorm
from tasks.gail.regularisers import EntropyBonus, GradientPenalty, _between
from tasks.gail.task import Imitation

small = Discriminator(3, (5, 4))


def weights() -> dict[str, torch.Tensor]:
    return {name: torch.randn(shape, dtype=torch.float64) for name, shape in small.shapes.items()}


def batch(policy: int = 6, expert: int = 9) -> ImitationBatch:
    return ImitationBatch(torch.randn(policy, 3, dtype=torch.float64), torch.randn(expert, 3, dtype=torch.float64) + 1)


def test_the_loss_is_minus_the_papers_objective_with_the_policys_probability() -> None:
    z, pairs = weights(), batch()
    d_policy = 1 - torch.sigmoid(small.logits(z, pairs.policy))
    d_expert = 1 - torch.sigmoid(small.logits(z, pairs.expert))
    objective = torch.log(d_policy).mean() + torch.log(1 - d_expert).mean()  # Eq. 4
    loss = Imitation(small, regularisers=()).follower_loss(pairs, z)
    torch.testing.assert_close(loss, -objective, rtol=1e-12, atol=1e-12)


def test_descending_the_loss_teaches_the_discriminator_who_is_who() -> None:
    task = Imitation(Discriminator(2, ()), regularisers=())
    pairs = task.batch(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
    solver = bilevel.Solver(task, bilevel.rules.Gradient(1.0))
    for _ in range(50):
        solver.step(pairs)
    logits = task.discriminator.logits(solver.answer, torch.cat([pairs.policy, pairs.expert]))
    assert logits[0] < -3
    assert logits[1] > 3


def test_the_default_has_ho_and_ermons_entropy_bonus() -> None:
    z, pairs = weights(), batch()
    entropies = []
    for rows in (pairs.policy, pairs.expert):
        p = torch.sigmoid(small.logits(z, rows))
        entropies.append(-(p * p.log() + (1 - p) * (1 - p).log()).mean())
    plain = Imitation(small, regularisers=()).follower_loss(pairs, z)
    expected = plain - 0.001 * sum(entropies)
    torch.testing.assert_close(Imitation(small).follower_loss(pairs, z), expected, rtol=1e-12, atol=1e-12)


def test_the_gradient_penalty_is_that_of_the_slopes_between_the_pairs() -> None:
    # A linear discriminator has the same slope everywhere, its weight.
    linear = Discriminator(3, ())
    z = {"weight0": torch.tensor([[3.0, 0.0, 4.0]]), "bias0": torch.zeros(1)}
    pairs = ImitationBatch(torch.randn(4, 3), torch.randn(7, 3))
    plain = Imitation(linear, regularisers=()).follower_loss(pairs, z)
    for penalty, value in ((GradientPenalty(10.0), 10 * 4.0**2), (GradientPenalty(2.0, slope=0.0), 2 * 5.0**2)):
        loss = Imitation(linear, regularisers=[penalty]).follower_loss(pairs, z)
        torch.testing.assert_close(loss - plain, torch.tensor(value))


def test_the_points_between_lie_between_the_pairs_and_are_spread_evenly() -> None:
    points = _between(ImitationBatch(torch.zeros(1, 1), torch.ones(1000, 1)))[:, 0].sort().values
    assert 0 <= points[0] < points[-1] <= 1
    assert points.diff().max() < 3 / 1000  # random ones would leave gaps of some 7 / 1000


def test_a_slope_of_zero_has_a_finite_gradient() -> None:
    z = {name: torch.zeros(shape, requires_grad=True) for name, shape in small.shapes.items()}
    pairs = ImitationBatch(torch.randn(4, 3), torch.randn(7, 3))
    loss = Imitation(small, regularisers=[GradientPenalty()]).follower_loss(pairs, z)
    slopes = torch.autograd.grad(loss, list(z.values()))
    assert all(torch.isfinite(slope).all() for slope in slopes)


@pytest.mark.parametrize("regularisers", [(), (EntropyBonus(0.3),), (GradientPenalty(2.0), EntropyBonus(0.1))])
def test_the_gradient_is_that_of_finite_differences(regularisers) -> None:
    task, z, pairs = Imitation(small, regularisers=regularisers), weights(), batch()
    names = list(z)
    tensors = [z[name].requires_grad_() for name in names]
    assert torch.autograd.gradcheck(
        lambda *values: task.follower_loss(pairs, dict(zip(names, values, strict=True))), tensors
    )


def test_one_half_of_the_pairs_feeds_the_rule_and_the_other_judges_it() -> None:
    pairs, z = batch(6, 9), weights()
    task = Imitation(small, split=Halves())
    whole = Imitation(small)
    first = ImitationBatch(pairs.policy[:3], pairs.expert[:5])
    second = ImitationBatch(pairs.policy[3:], pairs.expert[5:])
    problem = bilevel.InnerProblem(task, pairs, bilevel.rules.Gradient(1.0))
    loss, gradient = problem.gradient(z)
    expected, slope = bilevel.InnerProblem(whole, first, bilevel.rules.Gradient(1.0)).gradient(z)
    assert torch.equal(loss, expected)
    assert all(torch.equal(gradient[name], slope[name]) for name in z)
    assert torch.equal(problem.follower_loss(z), whole.follower_loss(second, z))


def test_a_learned_rule_is_trained_on_the_half_that_it_has_not_seen() -> None:
    rule = bilevel.learned.MLP(1, ()).double()
    discriminator = Discriminator(2, ())
    task = Imitation(discriminator, split=Halves())
    pairs = task.batch(torch.randn(4, 2, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64))
    solver = bilevel.Solver(
        task, rule, rule_optimizer=torch.optim.SGD(rule.parameters(), lr=0.1), play=bilevel.FollowerFirst()
    )
    record = solver.step(pairs)
    unseen = ImitationBatch(pairs.policy[2:], pairs.expert[2:])
    torch.testing.assert_close(record.follower_loss, Imitation(discriminator).follower_loss(unseen, solver.answer))


def test_halves_of_one_pair_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least two pairs of each player, got 1 of the policy"):
        Halves().judging(batch(1, 4))
    assert Whole().judging(batch(1, 4)).policy.shape == (1, 3)


def test_a_batch_is_scaled_by_the_statistics_of_its_moment() -> None:
    task = Imitation(small, norm=RunningNorm(2))
    policy, expert = torch.randn(50, 3) + 5, torch.randn(30, 3)
    pairs = task.batch(policy, expert)
    every = torch.cat([policy, expert])[:, :2]
    scaled = (policy[:, :2] - every.mean(0)) / every.std(0, correction=0)
    torch.testing.assert_close(pairs.policy[:, :2], scaled, rtol=1e-5, atol=1e-5)
    assert torch.equal(pairs.expert[:, 2], expert[:, 2])
    kept = pairs.policy.clone()
    task.batch(policy + 100, expert)
    assert torch.equal(pairs.policy, kept)


def test_the_statistics_are_saved_with_the_task() -> None:
    task, again = Imitation(small, norm=RunningNorm(3)), Imitation(small, norm=RunningNorm(3))
    rows = torch.randn(5, 3)
    task.batch(rows, rows)
    again.load_state_dict(task.state_dict())
    one, other = task.batch(rows, rows), again.batch(rows, rows)
    assert torch.equal(one.policy, other.policy)
    assert Imitation(small).state_dict() == {}


def test_batches_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="pairs of both players, got 0 of the policy and 2 of the expert"):
        ImitationBatch(torch.zeros(0, 3), torch.zeros(2, 3))


@pytest.mark.parametrize("make", [EntropyBonus, GradientPenalty])
@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_weights_must_be_numbers_from_zero(make, weight: float) -> None:
    with pytest.raises(ConfigurationError, match="must be at least 0 and finite"):
        make(weight)
