"""Several trainings at a time."""

from __future__ import annotations

import json
from dataclasses import replace

from tasks.commands.demo import defences
from tasks.run import Run
from tasks.vision.assess import label
from tasks.vision.config import DROConfig
from tasks.vision.sweep import Assessment, Watch, part_name, sweep
from tasks.vision.train import train

BASE = DROConfig(epochs=1, width=4)
CONFIGS = [replace(BASE, method="fgsm"), replace(BASE, method="grad-l2l", attacker_width=4)]


class Heard(Watch):
    def __init__(self):
        self.events = []

    def event(self, part, what, numbers):
        self.events.append((part, what))


def test_a_sweep_is_what_its_trainings_are_alone_and_is_completed_by_the_same_call(tmp_path):
    run = Run.create(tmp_path / "sweep", {"task": "sweep"})
    watch = Heard()
    sweep(run, CONFIGS, Assessment(("FGSM", "own")), workers=2, watch=watch)
    found = {(r["method"], r["attack"]): r["robust"] for r in run.results()}
    assert set(found) == {("fgsm", "FGSM"), ("grad-l2l", "FGSM"), ("grad-l2l", "own attacker")}
    for config in CONFIGS:
        name = part_name(config)
        assert [what for part, what in watch.events if part == name and what != "step"] == ["begin", "attack", "end"]
        alone = train(config, progress=False).fitted.evaluation
        row = (run.part(name) / "metrics.csv").read_text().splitlines()
        assert float(row[1].split(",")[row[0].split(",").index("validation_accuracy")]) == alone["validation_accuracy"]
    # One part is lost: only that one is done again.
    lost, kept = (run.part(part_name(config)) / "results.json" for config in CONFIGS)
    lost.unlink()
    kept.write_text(json.dumps([r | {"robust": 0.5} for r in json.loads(kept.read_text())]))
    sweep(run, CONFIGS, Assessment(("FGSM", "own")), workers=1, watch=watch)
    again = {(r["method"], r["attack"]): r["robust"] for r in run.results()}
    assert again == {
        ("fgsm", "FGSM"): found["fgsm", "FGSM"],
        **dict.fromkeys([k for k in found if k[0] != "fgsm"], 0.5),
    }


def test_the_demonstration_has_every_defence_under_a_name_of_its_own():
    configs = defences(epochs=3, seed=0)
    names = [label(config) for config in configs]
    assert len(set(names)) == len(names)
    wanted = {
        "plain",
        "fgsm",
        "fgsm-rs",
        "warm-fgsm",
        "warm-l2l",
        "pgm-2",
        "pgm-3",
        "pgm-10",
        "naive-l2l",
        "grad-l2l",
        "grad-only-l2l",
    }
    assert wanted | {"2-step-l2l", "2-step-grad-only-l2l", "3-step-l2l"} <= set(names)
