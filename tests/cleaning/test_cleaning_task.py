"""The players of hyper-cleaning against the same mathematics written out."""

from __future__ import annotations

import pytest
import torch
import torchopt
from cleaning_cases import (
    clusters,
    players,
    reference_follower_loss,
    reference_implicit,
    reference_leader_loss,
    reference_logits,
    reference_unrolled,
)
from hypothesis import given
from hypothesis import strategies as st

import bilevel
from bilevel.errors import TaskError
from tasks.cleaning.batches import Drawn, Repeated
from tasks.cleaning.models import Classifier
from tasks.cleaning.task import Fitting, HyperCleaning

MODELS = ["linear", "mlp"]


def some_weights(task, seed=1):
    draw = torch.Generator().manual_seed(seed)
    start = task.classifier.start(task.leader)
    return {name: torch.randn(leaf.shape, generator=draw, dtype=leaf.dtype) for name, leaf in start.items()}


@pytest.mark.parametrize("model", MODELS)
def test_both_losses_are_what_their_formulas_say(model):
    task, batch = players(model)
    z = some_weights(task)
    assert task.leader_loss(batch, z).item() == pytest.approx(reference_leader_loss(z, batch).item(), rel=1e-13)
    expected = reference_follower_loss(task.leader, z, batch, 0.01)
    assert task.follower_loss(batch, z).item() == pytest.approx(expected.item(), rel=1e-13)


@pytest.mark.parametrize("model", MODELS)
def test_a_batch_of_some_samples_has_their_weights(model):
    data = clusters()
    task, _ = players(model, data=data)
    z = some_weights(task)
    for batch in Drawn(data, 7, 3):
        assert len(batch.train.y) == len(batch.sample.unique()) == len(batch.validation.y) == 7
        assert torch.equal(batch.train.x, data.train.x[batch.sample])
        assert torch.equal(batch.train.y, data.train.y[batch.sample])
        expected = reference_follower_loss(task.leader, z, batch, 0.01)
        assert task.follower_loss(batch, z).item() == pytest.approx(expected.item(), rel=1e-13)


def test_drawn_batches_come_from_the_global_generator_and_repeated_ones_stay():
    data = clusters()
    drawn = Drawn(data, 5, 4)
    torch.manual_seed(3)
    first, second = list(drawn), list(drawn)
    torch.manual_seed(3)
    again = list(drawn)
    assert len(drawn) == len(first) == 4
    assert all(torch.equal(a.sample, b.sample) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a.sample, b.sample) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0].sample, first[1].sample)
    (all_of_it,) = Drawn(data, 1000, 1)
    assert sorted(all_of_it.sample.tolist()) == list(range(24))
    thing = object()
    assert list(Repeated(thing, 3)) == [thing] * len(Repeated(thing, 3)) == [thing] * 3


def test_every_sample_weighs_a_half_at_the_start():
    data = clusters()
    task = HyperCleaning(Classifier(4, 3), data.train, penalty=0.0, lives_on=True)
    assert torch.equal(task.weights, torch.full((24,), 0.5, dtype=torch.float64))
    assert torch.equal(torch.sigmoid(task.leader), task.weights)


@given(inputs=st.integers(1, 6), classes=st.integers(2, 5), hidden=st.lists(st.integers(1, 4), max_size=2))
def test_a_classifier_is_its_formula(inputs, classes, hidden):
    classifier = Classifier(inputs, classes, tuple(hidden), seed=1)
    z = classifier.start(torch.zeros(1, dtype=torch.float64))
    assert [tuple(z[f"weight{i}"].shape) for i in range(len(hidden) + 1)] == list(
        zip([*hidden, classes], [inputs, *hidden], strict=True)
    )
    z = {name: leaf + 0.1 * torch.randn(leaf.shape, dtype=leaf.dtype) for name, leaf in z.items()}
    x = torch.randn(5, inputs, dtype=torch.float64)
    assert torch.allclose(classifier.logits(z, x), reference_logits(z, x), rtol=1e-13, atol=1e-14)


def test_first_weights_are_those_of_the_seed_and_of_the_dtype_asked_for():
    one = Classifier(100, 3, (50,), seed=1)
    start, again, other = (Classifier(100, 3, (50,), seed=s).start(torch.zeros(1)) for s in (1, 1, 2))
    assert all(torch.equal(start[name], again[name]) for name in start)
    assert not torch.equal(start["weight0"], other["weight0"])
    assert 0.095 < start["weight0"].abs().max() <= 0.1
    assert start["bias0"].count_nonzero() == 0
    assert one.start(torch.zeros(1, dtype=torch.float64))["weight1"].dtype == torch.float64
    assert all(leaf.count_nonzero() == 0 for leaf in Classifier(4, 3).start(torch.zeros(1)).values())


def solver_with(hypergradient, task):
    """Return a solver whose leader moves by minus the hypergradient after four updates of the follower."""
    return bilevel.Solver(
        task,
        torchopt.sgd(lr=0.3),
        steps=4,
        leader_optimizer=torch.optim.SGD([task.leader], lr=1.0),
        hypergradient=hypergradient,
        play=bilevel.FollowerFirst(),
    )


def error(found, expected):
    """Return the relative error."""
    return (torch.linalg.vector_norm(found - expected) / torch.linalg.vector_norm(expected)).item()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("lives_on", [True, False])
@pytest.mark.parametrize(
    ("hypergradient", "last"), [(bilevel.Unrolled(), 4), (bilevel.Checkpointed(), 4), (bilevel.Truncated(2), 2)]
)
def test_unrolling_is_exact_and_the_follower_goes_on_from_where_it_should(hypergradient, last, lives_on, model):
    task, batch = players(model, lives_on=lives_on)
    solver = solver_with(hypergradient, task)
    z = task.start(batch)
    for _ in range(3):
        before = task.leader.detach().clone()
        solver.step(batch)
        begin = z if lives_on else task.start(batch)
        expected, z = reference_unrolled(before, begin, batch, penalty=0.01, rate=0.3, steps=4, last=last)
        assert error(before - task.leader.detach(), expected) < 1e-12
        if lives_on:
            assert all(torch.allclose(solver.answer[name], z[name], rtol=1e-12, atol=1e-14) for name in z)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("linear_solver", "accuracy"),
    [
        (bilevel.linear.Dense(damping=1.0), 1e-12),
        (bilevel.linear.ConjugateGradient(tolerance=1e-13, damping=1.0), 1e-11),
    ],
)
def test_the_implicit_hypergradient_is_that_of_the_whole_hessian(linear_solver, accuracy, model):
    task, batch = players(model)
    solver = solver_with(bilevel.Implicit(linear_solver), task)
    for _ in range(3):
        before = task.leader.detach().clone()
        solver.step(batch)
        expected = reference_implicit(before, solver.answer, batch, penalty=0.01, damping=1.0)
        assert error(before - task.leader.detach(), expected) < accuracy


def test_where_the_classifier_is_trained_to_its_end_all_exact_methods_agree():
    def hypergradient_of(method, steps):
        task, batch = players("linear", penalty=0.3)
        solver = bilevel.Solver(
            task,
            torchopt.sgd(lr=0.5),
            steps=steps,
            leader_optimizer=torch.optim.SGD([task.leader], lr=1.0),
            hypergradient=method,
            play=bilevel.FollowerFirst(),
        )
        before = task.leader.detach().clone()
        solver.step(batch)
        return before - task.leader.detach()

    exact = hypergradient_of(bilevel.Implicit(bilevel.linear.Dense()), 120)
    for method in (bilevel.Unrolled(), bilevel.Implicit(), bilevel.Implicit(bilevel.linear.FixedPoint(steps=100))):
        assert error(hypergradient_of(method, 120), exact) < 1e-10
    # The penalty's share of the error is of the order of 1/λ.
    errors = [error(hypergradient_of(bilevel.ValueFunction(size, steps=200), 120), exact) for size in (10.0, 100.0)]
    assert errors[1] == pytest.approx(errors[0] / 10, rel=0.1)


def test_direct_has_nothing_to_go_by_and_says_so():
    task, batch = players("linear")
    solver = bilevel.Solver(
        task,
        torchopt.sgd(lr=0.1),
        leader_optimizer=torch.optim.SGD([task.leader], lr=1.0),
        play=bilevel.FollowerFirst(),
    )
    with pytest.raises(TaskError, match=r"HyperCleaning.leader_loss does not depend on any parameter"):
        solver.step(batch)


def test_fitting_is_cleaning_with_weights_that_stay():
    data = clusters()
    classifier = Classifier(4, 3)
    task, batch = players("linear", data=data)
    z = some_weights(task)
    fitted = Fitting(classifier, penalty=0.01, weights=task.weights.detach()).follower_loss(data.train, z)
    assert fitted.item() == pytest.approx(task.follower_loss(batch, z).item(), rel=1e-14)
    with torch.no_grad():
        task.leader.fill_(50.0)  # σ(50) is 1 to the last bit
    fitted = Fitting(classifier, penalty=0.01).follower_loss(data.train, z)
    assert fitted.item() == pytest.approx(task.follower_loss(batch, z).item(), rel=1e-14)
