"""A trial: wrong labels are found, classifiers are trained anew, and memory is counted."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cleaning_cases import clusters
from cleaning_runs import cleaned, separated

from tasks.cleaning.baselines import BASELINES
from tasks.cleaning.contestants import Baseline, Cleaner
from tasks.cleaning.methods import METHODS
from tasks.cleaning.metrics import accuracy
from tasks.cleaning.setting import Setting
from tasks.cleaning.train import contestants
from tasks.cleaning.trial import Trial, peak_of

CASES = [*((method, "lives-on") for method in METHODS), ("unrolled", "anew"), ("conjugate-gradient", "anew")]


@pytest.mark.parametrize(("method", "follower"), CASES)
def test_labels_that_are_plainly_wrong_are_all_found(method, follower, tmp_path):
    setting = separated(follower=follower)
    outcome = cleaned(setting, method, tmp_path)
    wrong, weights = setting.data.wrong, outcome.weights
    assert weights[wrong].max() < 0.5
    assert weights[~wrong].mean() > 0.5 + weights[wrong].mean()
    assert outcome.record["test_accuracy"] == outcome.record["test_with_validation"] == 1.0
    assert outcome.record["solver_warnings"] == 0
    if not method.endswith("evolution"):  # whose estimates are noisy
        assert weights[~wrong].min() > 0.5


def test_small_batches_find_them_too(tmp_path):
    setting = separated(batch_size=9, steps=30)
    assert cleaned(setting, "unrolled", tmp_path).record["f1"] == 1.0


def test_a_baseline_is_the_classifier_trained_on_its_samples(tmp_path):
    setting = separated(steps=6)
    data, rate, penalty = setting.data, setting.config.inner_rate, setting.config.penalty
    for name, samples in BASELINES.items():
        x, y = samples(data)
        z = torch.zeros(5, 3, dtype=torch.float64)
        x1 = torch.cat([x, torch.ones(len(x), 1, dtype=torch.float64)], 1)
        for _ in range(24):
            slope = x1.T @ (torch.softmax(x1 @ z, 1) - torch.nn.functional.one_hot(y, 3)) / len(y) + 2 * penalty * z
            z -= rate * slope
        trial = Trial(Baseline(name, samples), setting)
        outcome = trial.run(tmp_path / name)
        found = trial.solver.answer
        assert torch.allclose(torch.cat([found["weight0"].T, found["bias0"][None]]), z, rtol=1e-9, atol=1e-12)
        assert outcome.record["test_accuracy"] == accuracy(setting.classifier, found, data.test)
        assert outcome.weights is outcome.record["f1"] is outcome.record["test_with_validation"] is None


def test_what_comes_out_is_a_classifier_trained_anew_with_the_weights(tmp_path):
    setting = separated(steps=6)
    (contestant,) = contestants(replace(setting.config, methods=("truncated",), baselines=()), "linear")
    trial = Trial(contestant, setting)
    trial.run(tmp_path)
    data, weights = setting.data, torch.sigmoid(trial.solver.task.leader.detach())
    both = torch.cat([weights, torch.ones(18, dtype=torch.float64)])
    samples = {
        contestant.classifier: (data.train.x, data.train.y, weights),
        contestant.classifier_with_validation: (*map(torch.cat, zip(data.train, data.validation, strict=True)), both),
    }
    for classifier, (x, y, w) in samples.items():
        z = torch.zeros(5, 3, dtype=torch.float64)
        x1 = torch.cat([x, torch.ones(len(x), 1, dtype=torch.float64)], 1)
        for _ in range(24):
            wrong = w[:, None] * (torch.softmax(x1 @ z, 1) - torch.nn.functional.one_hot(y, 3))
            z -= 3.0 * (x1.T @ wrong / len(y) + 0.02 * z)
        found = classifier(trial.solver, setting)
        assert torch.allclose(torch.cat([found["weight0"].T, found["bias0"][None]]), z, rtol=1e-9, atol=1e-12)


def test_the_clean_baselines_know_the_truth_and_the_others_do_not():
    data = clusters()
    sets = {name: samples(data) for name, samples in BASELINES.items()}
    assert torch.equal(sets["noisy"].y, data.train.y)
    assert torch.equal(sets["clean"].y, data.truth)
    assert torch.equal(sets["clean-and-validation"].y, torch.cat([data.truth, data.validation.y]))
    assert torch.equal(sets["noisy-and-validation"].x, torch.cat([data.train.x, data.validation.x]))
    assert torch.equal(sets["validation"].x, data.validation.x)


def test_memory_is_linear_in_the_updates_that_are_unrolled_and_flat_for_implicit():
    def peak(method, steps):
        setting = separated()
        config = replace(setting.config, inner_steps=steps, truncation=2, damping=10.0)  # which outweighs all else
        setting = Setting(config, setting.data, "mlp", 0)
        return peak_of(Cleaner(method, config.hypergradients("mlp")[method]), setting)

    three, six, twelve = (peak("unrolled", steps) for steps in (3, 6, 12))
    assert twelve - six == 2 * (six - three) > 0
    assert peak("checkpointed", 12) < twelve
    for method in ("truncated", "conjugate-gradient", "finite-difference"):
        assert peak(method, 3) == peak(method, 12)
