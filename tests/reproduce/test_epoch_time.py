"""Epoch times are those of the trainings' steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from reproduce_cases import REQUEST, Heard

from tasks.reproduce import step_times
from tasks.reproduce.epoch_time import EpochTime
from tasks.reproduce.experiments import EXPERIMENTS
from tasks.reproduce.published import TABLE3
from tasks.run import Run
from tasks.vision.build import build


def test_epoch_times_are_the_steps_times_their_number(tmp_path):
    run = Run.create(tmp_path / "run", {})
    experiment, request = EpochTime("Times"), replace(REQUEST, seeds=(1,))
    assert experiment.configs(request) == []
    experiment.work(run, request, Heard())
    records = {r["method"]: r for r in run.results()}
    assert set(records) == set(TABLE3.rows)
    assert {r["steps_an_epoch"] for r in records.values()} == {2}  # 256 images, 128 a step
    assert all(r["lower_quartile"] <= r["seconds_an_epoch"] <= r["upper_quartile"] for r in records.values())
    (table,) = experiment.tables(run, replace(request, data="cifar10"))
    assert table.rows[0][2].text == "1.00 / 1.00"
    assert table.rows[1][2].text.endswith("/ 12.31")  # 1310.8 / 106.5


@pytest.mark.parametrize(("precision", "dtypes"), [("32-true", {torch.float32}), ("bf16-mixed", {torch.bfloat16})])
def test_steps_are_timed_in_the_precision_of_the_trainings(precision, dtypes):
    request = replace(REQUEST, precision=precision, seeds=(1,))
    assert {c.precision for c in EXPERIMENTS["masking"].configs(request)} == {precision}
    made, seen = build(request.base), set()
    linear = next(m for m in made.model.modules() if isinstance(m, torch.nn.Linear))
    linear.register_forward_hook(lambda _module, _inputs, output: seen.add(output.dtype))
    step_times.epoch_times({"grad-l2l": made}, request)
    assert seen == dtypes
