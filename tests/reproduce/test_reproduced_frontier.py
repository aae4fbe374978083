"""The frontier made again: its seconds, its points and who lies above it."""

from __future__ import annotations

from dataclasses import replace

from reproduce_cases import ONE, REQUEST, Heard

from tasks.reproduce import frontier, step_times
from tasks.reproduce.experiments import EXPERIMENTS
from tasks.run import Run
from tasks.vision.sweep import part_name


def test_the_frontier_s_seconds_are_those_of_steps_that_took_turns(tmp_path, monkeypatch):
    run, experiment = Run.create(tmp_path / "run", {}), EXPERIMENTS["frontier"]
    monkeypatch.setattr(frontier, "BY_HAND", ({"method": "fgsm"}, {"method": "pgm"}))
    monkeypatch.setattr(frontier, "LEARNED", ())

    def swept(run, configs, *_, **__):
        known = {"task": "dro", "data": "digits", "split": "test", "attack": "PGM-20", "robust": 0.5, "clean": 0.9}
        run.append_results(known | {"method": c.label, "seed": c.seed, "seconds": 1e6 * c.seed} for c in configs)

    monkeypatch.setattr(frontier, "sweep", swept)
    for _ in range(2):  # the second call collects the sweep's results once more, and times nothing
        experiment.work(run, REQUEST, Heard())
        times = {r["method"]: r["seconds_an_epoch"] for r in run.results() if "seconds_an_epoch" in r}
        seconds = {(r["method"], r["seed"]): r["seconds"] for r in run.results() if "seconds" in r}
        assert seconds == {(m, s): REQUEST.base.epochs * times[m] for m in ("fgsm", "pgm-10") for s in (1, 2)}
        monkeypatch.setattr(step_times, "epoch_times", None)
    assert times["pgm-10"] > times["fgsm"]


def test_the_frontier_has_every_attacker_once_and_says_how_far_each_learned_one_lies_above_it(tmp_path):
    run, experiment = Run.create(tmp_path / "run", {}), EXPERIMENTS["frontier"]
    names = [part_name(config) for config in experiment.configs(REQUEST)]
    assert len(set(names)) == len(names) == 2 * 15
    assert {c.eps for c in EXPERIMENTS["frontier-large"].configs(ONE)} == {16 / 255}
    small = EXPERIMENTS["frontier-mnist"]
    assert {(c.eps, c.model, c.width, c.depth, c.epochs) for c in small.configs(ONE)} == {(0.3, "small", 16, None, 5)}
    assert small.words(ONE) == "digits, one epoch; but a CNN of 16, 32 and 32 channels and 5 epochs"
    assert experiment.words(ONE) == "digits, one epoch"
    some = experiment.configs(replace(REQUEST, only=("pgm-10", "3-step-l2l")))
    assert [part_name(config) for config in some] == [
        "pgm-10-seed1", "pgm-10-seed2", "3-step-l2l-seed1", "3-step-l2l-seed2",
    ]  # fmt: skip
    known = {"task": "dro", "data": "digits", "split": "test", "n": 10_000, "clean": 0.9, "seed": 1, "eps": 0.031,
             "norm": "linf", "attack": "AutoAttack"}  # fmt: skip
    points = {"fgsm-rs": (0.2, 1.0), "pgm-10": (0.3, 4.0), "grad-l2l": (0.29, 2.0)}
    run.append_results(known | {"method": m, "robust": robust, "seconds": s} for m, (robust, s) in points.items())
    accuracies, margins = experiment.tables(run, ONE)
    assert [row[0].text for row in accuracies.rows] == ["pgm-10", "grad-l2l", "fgsm-rs"]
    ((name, margin, verdict, *_),) = margins.rows
    assert (name.text, verdict.text) == ("grad-l2l", "above")
    assert 3 < float(margin.text.removeprefix("+")) < 6  # the frontier there is between 20 and 30 %
