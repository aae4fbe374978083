"""Curves that are made again: once, with the gain over PGM Net."""

from __future__ import annotations

from dataclasses import replace

from reproduce_cases import ONE, Heard

from tasks.reproduce import curves
from tasks.reproduce.curves import Curves
from tasks.reproduce.experiments import EXPERIMENTS
from tasks.run import Run
from tasks.vision.assess import journal_of
from tasks.vision.build import build


def test_the_gain_in_the_tables_of_curves_is_over_pgm_net(tmp_path):
    run, experiment = Run.create(tmp_path / "run", {}), EXPERIMENTS["curves"]
    known = {"task": "dro", "data": "digits", "split": "test", "n": 10, "attack": "PGM-10"}
    points = {"pgm-10": (0.5, 0.7), "grad-l2l": (0.8, 0.8), "2-step-l2l": (0.4, 0.4)}
    for method, values in points.items():
        run.append_curves(
            known | {"method": method, "seed": seed, "curve": curve, "x": 2.0, "robust": value}
            for curve in ("eps", "iterations")
            for seed, value in enumerate(values)
        )
    for table in experiment.tables(run, ONE):
        assert table.header == ("defence", "2")
        assert [(row[1].text, row[1].error) for row in table.rows] == [
            ("60.0", ""), ("80.0", "(+20.0)"), ("40.0", "(-20.0)"),
        ]  # fmt: skip


def test_curves_that_are_measured_are_not_measured_again(tmp_path, monkeypatch):
    run, experiment = Run.create(tmp_path / "run", {}), Curves("Curves")
    made = []
    monkeypatch.setattr(curves, "sweep", lambda *_, **__: None)
    monkeypatch.setattr(curves, "trained", lambda _run, config: made.append(config) or build(config))
    experiment.work(run, ONE, Heard())
    assert len(made) == 3
    assert not journal_of(run).path.exists()
    points = run.curves()
    experiment.work(run, ONE, Heard())
    assert len(made) == 3
    experiment.work(run, replace(ONE, seeds=(1, 2)), Heard())
    assert [c.seed for c in made[3:]] == [2, 2, 2]
    assert all(point in run.curves() for point in points)
