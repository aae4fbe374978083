"""A cleaning run from its configuration to its files, and as a command."""

from __future__ import annotations

import csv
import itertools
import json
import math
import os
import signal
from dataclasses import replace

import pytest
import torch
import yaml
from cleaning_cases import clusters
from torch.optim.optimizer import register_optimizer_step_post_hook

import bilevel
from bilevel.errors import ConfigurationError
from tasks.cleaning.baselines import BASELINES
from tasks.cleaning.config import PRESETS, CleaningConfig
from tasks.cleaning.contestants import Baseline, Cleaner
from tasks.cleaning.figures import draw_all
from tasks.cleaning.methods import METHODS
from tasks.cleaning.metrics import accuracy
from tasks.cleaning.setting import Setting
from tasks.cleaning.table import HEADER, results_rows
from tasks.cleaning.train import contestants, go_on, train_cleaning
from tasks.cleaning.trial import Trial, peak_of
from tasks.cli import main
from tasks.run import Run
from tasks.settings import to_dict

QUICK = CleaningConfig(
    train=60, validation=40, held_out=30, hidden=(4,), methods=("unrolled", "truncated"),
    baselines=("noisy", "validation"), steps=4, inner_steps=3, truncation=2, evaluate_every=2,
)  # fmt: skip
SCALING = tuple(name for name in METHODS if name != "dense")


def read(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train_cleaning(replace(QUICK, seeds=(0, 3)), tmp_path_factory.mktemp("runs") / "cleaning")


def test_a_run_has_a_record_for_each_contestant_model_and_seed(run):
    records = run.results()
    found = {(r["model"], r["seed"], r["method"]) for r in records}
    assert len(records) == len(found)
    assert found == set(itertools.product(("linear", "mlp"), (0, 3), ("noisy", "validation", "unrolled", "truncated")))
    for r in records:
        assert (r["task"], r["data"], r["steps"], r["inner_steps"], r["noise"]) == ("cleaning", "digits", 4, 3, 0.5)
        assert r["diverged"] is False
        assert r["seconds"] > 0
        assert r["test_accuracy"] * 360 == pytest.approx(round(r["test_accuracy"] * 360), abs=1e-9)
        assert (r["f1"] is None) == (r["method"] in BASELINES)


def test_the_files_of_a_method_agree_with_its_record(run):
    (record,) = (r for r in run.results() if (r["method"], r["model"], r["seed"]) == ("unrolled", "mlp", 3))
    part = run.path / "parts" / "unrolled-mlp-3"
    rows = read(part / "metrics.csv")
    assert [int(row["step"]) for row in rows] == [2, 4]
    assert float(rows[-1]["f1"]) == record["f1"]
    assert sum(float(row["seconds"]) for row in rows) == pytest.approx(record["seconds"])
    samples = read(part / "weights.csv")
    assert [int(row["sample"]) for row in samples] == list(range(60))
    wrong = [row["given"] != row["truth"] for row in samples]
    assert sum(wrong) == 30
    called = [float(row["weight"]) < 0.5 for row in samples]
    hits = sum(a and b for a, b in zip(called, wrong, strict=True))
    assert record["f1"] == 2 * hits / (sum(called) + 30)
    assert not (run.path / "parts" / "noisy-mlp-3" / "weights.csv").exists()
    for name in ("accuracy", "f1", "weights"):
        for model in ("linear", "mlp"):
            assert (run.figures / f"{name}-{model}.png").read_bytes().startswith(b"\x89PNG")
    assert yaml.safe_load((run.path / "config.yaml").read_text())["inner_rate"] == QUICK.inner_rate


def test_the_same_seed_gives_the_same_weights_whatever_ran_before(tmp_path):
    def weights(part, seed):
        config = replace(QUICK, seeds=(seed,), models=("linear",), baselines=(), methods=("truncated",), batch_size=20)
        run = train_cleaning(config, tmp_path / part)
        return read(run.path / "parts" / f"truncated-linear-{seed}" / "weights.csv")

    first = weights("first", 3)
    torch.rand(5)
    assert weights("again", 3) == first
    assert weights("other", 4) != first


def test_the_caller_s_random_numbers_are_left_alone(tmp_path):
    before = torch.get_rng_state()
    train_cleaning(replace(QUICK, models=("linear",), methods=("truncated",), batch_size=10), tmp_path / "run")
    assert torch.equal(before, torch.get_rng_state())


def separated(**changes):
    """Return a setting in which each class has a corner of its own, so that a wrong label cannot be overlooked."""
    settings = {"steps": 12, "evaluate_every": 6, "inner_steps": 4, "inner_rate": 3.0, "rate": 0.5, "penalty": 0.01}
    config = replace(QUICK, **(settings | {"truncation": 4, "terms": 4, "pairs": 6} | changes))
    return Setting(config, clusters(train=18, other=18, noise=1 / 6, spread=0.02), "linear", 0)


def cleaned(setting, method, folder):
    (contestant,) = contestants(replace(setting.config, methods=(method,), baselines=()), setting.model)
    return Trial(contestant, setting).run(folder)


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


def test_what_diverges_is_a_result_like_another(tmp_path):
    run = train_cleaning(replace(QUICK, inner_rate=1e30, methods=("unrolled",), models=("mlp",)), tmp_path / "run")
    records = {r["method"]: r for r in run.results()}
    assert records["unrolled"]["diverged"]
    assert records["unrolled"]["test_accuracy"] is records["unrolled"]["f1"] is records["unrolled"]["seconds"] is None
    (row,) = (row for row in results_rows(run.results()) if row[1].startswith("unrolled"))
    assert row[1:4] == ("unrolled (1 of 1 diverged)", "–", "–")


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


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"data": "mnits"}, "Did you mean mnist"),
        ({"follower": "fresh"}, "lives-on, anew"),
        ({"models": ("cnn",)}, "no model 'cnn'"),
        ({"models": ()}, "at least one model"),
        ({"methods": ("unroled",)}, "Did you mean unrolled"),
        ({"methods": ("unrolled", "unrolled")}, "each once"),
        ({"methods": (), "baselines": ()}, "at least one method"),
        ({"baselines": ("oracle",)}, "no baseline 'oracle'"),
        ({"noise": 1.5}, r"share in \[0, 1\]"),
        ({"penalty": -1.0}, "penalty must be at least 0"),
        ({"steps": 0}, "steps must be above 0"),
        ({"steps": 25, "evaluate_every": 10}, "multiple of evaluate_every"),
        ({"batch_size": 0}, "batch_size must be above 0"),
        ({"rate": math.nan}, "rate must be float"),
        ({"rate": 0.0}, "rate must be above 0"),
        ({"hidden": ()}, "hidden must hold"),
        ({"train": -1}, "train must be above 0"),
        ({"seeds": ()}, "seeds must be"),
        ({"seeds": (1, 1)}, "seeds must be"),
        ({"seeds": (-1,)}, "seeds must be"),
        ({"damping": -1.0}, "damping"),
        ({"multiplier": 0.0}, "penalty"),
        ({"sigma": 0.0}, "sigma"),
        ({"pairs": 0}, "pairs must be above 0"),
        ({"methods": ("persistent-evolution",), "follower": "anew"}, "lives on"),
    ],
)
def test_a_configuration_says_what_is_wrong_with_it(settings, words):
    with pytest.raises(ConfigurationError, match=words):
        CleaningConfig(**settings)


def test_every_known_method_is_compared_unless_it_is_too_large():
    known = CleaningConfig().hypergradients("linear")
    assert tuple(known) == METHODS
    assert [one.name for one in contestants(CleaningConfig(), "linear")] == [*BASELINES, *SCALING]
    anew = [one.name for one in contestants(CleaningConfig(follower="anew"), "mlp")]
    assert anew == [*BASELINES, *(name for name in SCALING if name != "persistent-evolution")]
    assert set(PRESETS) == {"digits", "mnist"}


def test_several_seeds_are_a_mean_and_a_spread():
    def record(seed, test, f1):
        return {
            "model": "linear", "method": "unrolled", "seed": seed, "diverged": False, "test_accuracy": test, "f1": f1,
            "test_with_validation": None, "precision": None, "recall": 1.0, "seconds": 2.0, "steps": 100,
            "peak_memory_mb": 3.0,
        }  # fmt: skip

    (row,) = results_rows([record(0, 0.8, 0.5), record(1, 0.9, 0.7)])
    assert len(row) == len(HEADER)
    assert row == (
        "linear", "unrolled", "0.8500 ± 0.0707", "–", "0.6000 ± 0.1414", "–", "1.0000 ± 0.0000", "2.0", "20.0", "3.00"
    )  # fmt: skip


def test_the_histogram_shows_every_weight_by_its_label(tmp_path):
    setting = separated()
    outcome = cleaned(setting, "truncated", tmp_path)
    axes = draw_all([outcome])["weights"].axes[0]
    right, wrong = ([bar.get_height() for bar in bars] for bars in axes.containers)
    assert (sum(right), sum(wrong)) == (15, 3)
    assert sum(right[:20]) == sum(wrong[20:]) == 0  # all of them were found


def test_the_command_prints_a_table_and_leaves_a_report(tmp_path, capsys):
    words = "--train 60 --validation 40 --held-out 30 --steps 4 --inner-steps 3 --evaluate-every 2 --models linear"
    words += f" --methods unrolled truncated --baselines noisy --run {tmp_path / 'run'}"
    assert main(["train", "cleaning", *words.split()]) == 0
    shown = capsys.readouterr().out
    run = Run.open(tmp_path / "run")
    for record in run.results():
        (line,) = (line for line in shown.splitlines() if f" {record['method']} " in line)
        assert f"{record['test_accuracy']:.4f}" in line
    assert (run.path / "report.html").exists()
    assert json.loads((run.path / "results.json").read_text())
    assert run.config["command"].startswith("bilevel train cleaning --train 60")


def test_a_run_that_was_stopped_goes_on_to_the_same_numbers(tmp_path, capsys):
    """SIGTERM in a step of the second seed's last method; what is done by then is not done again."""
    config = replace(QUICK, models=("mlp",), seeds=(0, 3), methods=("truncated", "evolution"))
    unbroken, broken = (Run.create(tmp_path / name, {"task": "cleaning"} | to_dict(config)) for name in "ab")
    go_on(unbroken, config)
    steps = itertools.count(1)
    hook = register_optimizer_step_post_hook(lambda *_: next(steps) == 21 and os.kill(os.getpid(), signal.SIGTERM))
    try:  # two methods, two seeds, each four steps and two more to measure memory
        with pytest.raises(bilevel.Interrupted, match=f"bilevel resume {broken.path}"):
            go_on(broken, config)
    finally:
        hook.remove()
    assert len(broken.results()) == 7
    kept = (broken.path / "parts" / "truncated-mlp-3" / "metrics.csv").stat().st_mtime_ns
    assert main(["resume", str(broken.path)]) == 0
    assert (broken.path / "parts" / "truncated-mlp-3" / "metrics.csv").stat().st_mtime_ns == kept
    assert "evolution" in capsys.readouterr().out
    clocks = ("seconds",)
    for one, other in zip(unbroken.results(), broken.results(), strict=True):
        assert {k: v for k, v in one.items() if k not in clocks} == {k: v for k, v in other.items() if k not in clocks}
    for name in ("truncated-mlp-0", "evolution-mlp-3"):
        one, other = ((run.path / "parts" / name / "weights.csv").read_text() for run in (unbroken, broken))
        assert one == other
    rows = read(broken.path / "parts" / "evolution-mlp-3" / "metrics.csv")
    assert [int(row["step"]) for row in rows] == [2, 4]
    assert (broken.path / "figures" / "weights-mlp.png").exists()


def test_the_command_says_where_mnist_is_missing_before_anything_is_made(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "cleaning", "--preset", "mnist", "--data-dir", "nowhere"]) == 2
    assert "--data-dir" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_only_the_perceptron_s_hessian_is_damped_unless_it_is_said():
    def damping(model, **changes):
        return CleaningConfig(**changes).hypergradients(model)["conjugate-gradient"].solver.damping

    assert (damping("linear"), damping("mlp")) == (0.0, 0.1)
    assert damping("linear", damping=0.5) == damping("mlp", damping=0.5) == 0.5
    assert damping("mlp", damping=0.0) == 0.0
