"""A cleaning run from its configuration to its files."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
import yaml
from cleaning_runs import QUICK, read

from tasks.cleaning.baselines import BASELINES
from tasks.cleaning.train import train_cleaning


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
