"""Several trainings at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bilevel.checkpoint import CheckpointFolder
from tasks.cli import main
from tasks.commands.demo import defences
from tasks.commands.train_vision import config_of
from tasks.events import Watch
from tasks.run import Run
from tasks.vision.config import DROConfig
from tasks.vision.sweep import Assessment, part_name, sweep
from tasks.vision.train import train

BASE = DROConfig(epochs=1, width=4, train_images=300, validation_images=60, test_images=60)
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
    found = {(r["method"], r["attack"]): r["robust"] for r in run.results() if "attack" in r}
    assert set(found) == {("fgsm", "FGSM"), ("grad-l2l", "FGSM"), ("grad-l2l", "own attacker")}
    for config in CONFIGS:
        name = part_name(config)
        assert [what for part, what in watch.events if part == name and what != "step"] == ["begin", "attack", "end"]
        alone = train(config, progress=False).fitted.evaluation
        row = (run.part(name) / "metrics.csv").read_text().splitlines()
        assert float(row[1].split(",")[row[0].split(",").index("validation_accuracy")]) == alone["validation_accuracy"]
    # One part was stopped between its accuracies and its findings: only that one is gone on with.
    lost, kept = (run.part(part_name(config)) / "results.json" for config in CONFIGS)
    findings = [r for r in run.results() if "finding" in r and r["method"] == "fgsm"]
    lost.write_text(json.dumps([r for r in json.loads(lost.read_text()) if "attack" in r]))
    (lost.parent / "evaluation.jsonl").touch()
    kept.write_text(json.dumps([r | ({"robust": 0.5} if "attack" in r else {}) for r in json.loads(kept.read_text())]))
    sweep(run, CONFIGS, Assessment(("FGSM", "own")), workers=1, watch=watch)
    again = {(r["method"], r["attack"]): r["robust"] for r in run.results() if "attack" in r}
    assert again == {
        ("fgsm", "FGSM"): found["fgsm", "FGSM"],
        **dict.fromkeys([k for k in found if k[0] != "fgsm"], 0.5),
    }
    assert len(findings) > 20
    assert [r for r in Run(lost.parent, {}).results() if "finding" in r] == findings


def test_a_part_of_a_sweep_can_be_attacked_by_itself(tmp_path, capsys):
    run = Run.create(tmp_path / "sweep", {"task": "sweep"})
    sweep(run, CONFIGS[:1], Assessment(("FGSM",)), workers=1, watch=Heard())
    part = run.part(part_name(CONFIGS[0]))
    assert config_of(Run.open(part)) == CONFIGS[0]
    assert main(["evaluate", str(part), "--attacks", "PGM-2", "--no-curves", "--images", "20"]) == 0
    assert "PGM-2" in capsys.readouterr().out
    assert {r["attack"] for r in Run.open(part).results() if "attack" in r} == {"FGSM", "PGM-2"}


def test_the_demonstration_has_every_defence_under_a_name_of_its_own():
    configs = defences(epochs=3, seed=0)
    names = [config.label for config in configs]
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


DEMO = """
import sys
from dataclasses import replace
from pathlib import Path
from tasks.commands import demo
from tasks.cli import _explain
from tasks.commands.train_vision import config_of
from tasks.run import Run

quick = demo.defences
demo.defences = lambda epochs, seed: [replace(c, width=4, threads=1) for c in quick(epochs, seed)[:3]]
demo.ATTACKS = ("FGSM",)
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    config = {"task": "demo", "epochs": int(sys.argv[2]), "seeds": [0], "workers": 2}
    run = Run.open(folder) if folder.exists() else Run.create(folder, config)
    try:
        demo.go_on(run)
    except BaseException as error:
        sys.exit(_explain(error))
"""


def begin(script, folder, epochs=400):
    process = subprocess.Popen(
        [sys.executable, script, folder, str(epochs)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while len(list(folder.glob("parts/*/checkpoints/step-0*[1-9]*.pt"))) < 2 and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    return process


def children(process):
    found = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    return [int(pid) for pid in found]


def is_gone(pid):
    try:
        return "Z" in (Path("/proc") / str(pid) / "stat").read_text().split(")")[1].split()[0]
    except FileNotFoundError:
        return True


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks at processes by /proc")
@pytest.mark.parametrize(
    ("victim", "number", "status", "message"),
    [
        ("main", signal.SIGTERM, 130, "Stopped. What is done is kept; go on with: bilevel resume"),
        ("worker", signal.SIGKILL, 1, "A working process ended by itself"),
        ("main", signal.SIGKILL, -signal.SIGKILL, ""),
    ],
)
def test_a_demonstration_that_is_broken_off_ends_whole_and_says_how_to_go_on(tmp_path, victim, number, status, message):
    script, folder = tmp_path / "demo.py", tmp_path / "run"
    script.write_text(DEMO)
    process = begin(script, folder)
    workers = children(process)
    pid = process.pid if victim == "main" else max(workers)  # the pool's processes are the youngest
    os.kill(pid, number)
    _, shown = process.communicate(timeout=60)
    assert process.returncode == status, shown
    assert message in shown
    assert "Traceback" not in shown
    deadline = time.monotonic() + 20
    while not all(map(is_gone, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)  # each notices by itself that it is not needed any more
    assert all(map(is_gone, workers))
    assert CheckpointFolder(next(folder.glob("parts/*/checkpoints"))).latest() is not None
