"""Cleaning as a command, and going on after a stop."""

from __future__ import annotations

import itertools
import json
import os
import signal
from dataclasses import replace

import pytest
from cleaning_runs import QUICK, read
from torch.optim.optimizer import register_optimizer_step_post_hook

import bilevel
from tasks.cleaning.train import go_on
from tasks.cli import main
from tasks.run import Run
from tasks.settings import to_dict


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
