"""Rules from their configuration to their files, after a kill too."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from meta_cases import QUICK

from tasks.meta.train import train, transferred
from tasks.settings import to_dict

HERE = Path(__file__).parent


def rows(folder):
    with (folder / "metrics.csv").open(encoding="utf-8") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def same(a, b):
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            same(one, other)
    else:
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"shown": "judged", "attack": "pgm", "weight_input": 0.0, "groups": ("features*", "*")},
        {"estimator": "persistent-evolution", "pairs": 1},
        {"model": "convolutional", "width": 2, "estimator": "second-order", "first_horizon": 2},
    ],
)
def test_a_training_that_is_killed_in_a_window_goes_on_to_the_same_bits(change, tmp_path):
    config = replace(QUICK, windows=6, windows_per_row=3, **change)
    straight = train(config, tmp_path / "straight", checkpoint_every=1, progress=False)
    killed = tmp_path / "killed"
    if not change:  # by a signal that nothing can catch; the others by an error, which saves as little
        command = [sys.executable, str(HERE / "killed_learning.py"), str(killed), "3", json.dumps(to_dict(config))]
        done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
    else:
        steps = [0]

        def fail(*_):
            steps[0] += 1
            if steps[0] == 3:
                raise RuntimeError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tasks.meta.curriculum.Curriculum.__call__", _before(fail))
            with pytest.raises(RuntimeError):
                train(config, killed, checkpoint_every=1, progress=False)
    resumed = train(config, killed, checkpoint_every=1, resume=True, progress=False)
    assert resumed.fitted.resumed_from.name == "step-00000002.pt"
    same(straight.solver.state_dict(), resumed.solver.state_dict())
    assert rows(tmp_path / "straight") == rows(killed)
    assert len(rows(killed)) == 2


def _before(first):
    from tasks.meta.curriculum import Curriculum

    follow = Curriculum.__call__

    def call(self):
        first()
        follow(self)

    return call


def test_the_log_says_why_a_rule_learns_or_does_not(tmp_path):
    training = train(QUICK, tmp_path, progress=False)
    (first, last) = rows(tmp_path)
    assert float(first["radius_share"]) == float(last["radius_share"]) == 1.0
    assert {
        "update_to_weight",
        "saturated_inputs",
        "saturated_gates",
        "clipped",
        "norm_before_clipping",
    } <= first.keys()
    assert float(last["rule_learning_rate"]) == pytest.approx(0.05 * QUICK.rate)
    assert float(last["transfer_robust"]) == pytest.approx(transferred(training)["robust"])
