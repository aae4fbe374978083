"""The command line as a user meets it: what it prints, what it leaves, and its exit status."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
import yaml

from bilevel.checkpoint import CheckpointFolder
from tasks.cli import COMMANDS, main

QUICK = ["--epochs", "2", "--threads", "1", "--width", "4"]


def weights(folder):
    return CheckpointFolder(folder / "checkpoints").latest()[1]["solver"]


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "grad"
    assert main(["train", "dro", "--method", "grad-l2l", *QUICK, "--run", str(folder)]) == 0
    return folder


def test_the_overview_names_every_command(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(f"bilevel {name}" in shown for name in COMMANDS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "bilevel knows no 'trian'. Known are: demo, train, resume, evaluate, reproduce, report."),
        (
            ["train", "dor"],
            "bilevel train knows no 'dor'. Known are: dro, ait, cleaning, gail, gail-expert, meta, toy, toy-rule.",
        ),
        (["train", "dro", "--method", "grad-l3l"], "There is no method 'grad-l3l'. Did you mean grad-l2l? Known are"),
        (["train", "dro", "--data", "mnits"], "There is no data set 'mnits'."),
        (["train", "dro", "--eps", "0"], "eps must be above 0, got 0"),
        (["train", "dro", "--eps", "-0.1"], "eps must be above 0, got -0.1"),
        (["train", "dro", "--method", "pgm", "--pgm-steps", "0"], "pgm_steps must be above 0, got 0"),
        (["train", "dro", "--preset", "papers"], "There is no preset 'papers'. Did you mean paper?"),
        (["train", "toy", "--step", "0"], "step must be finite and above 0, got 0"),
        (["demo", "--workers", "0"], "workers must be at least 1, got 0"),
        (["evaluate", "nowhere"], "nowhere does not exist"),
        (["report", "nowhere"], "nowhere does not exist"),
        (["resume", "nowhere"], "nowhere does not exist"),
    ],
)
def test_an_error_of_use_is_one_sentence_and_no_traceback(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status = main(words)
    shown = capsys.readouterr()
    assert status in {1, 2}
    assert message in shown.err
    assert "Traceback" not in shown.err
    assert not list(tmp_path.iterdir())  # nothing was begun


def test_a_run_holds_enough_to_run_it_again(trained, tmp_path):
    config = yaml.safe_load((trained / "config.yaml").read_text())
    assert config["command"] == f"bilevel train dro --width 4 --epochs 2 --threads 1 --method grad-l2l --run {trained}"
    again = tmp_path / "again"
    words = [str(again) if word == str(trained) else word for word in config["command"].split()[1:]]
    assert main(words) == 0
    assert same(weights(again), weights(trained))


def test_flags_change_single_settings_of_a_preset(tmp_path):
    words = ["--preset", "code", "--model", "small", "--attacker", "small", "--schedule", "constant"]
    assert main(["train", "dro", *words, *QUICK, "--epochs", "1", "--run", str(tmp_path / "code")]) == 0
    config = yaml.safe_load((tmp_path / "code" / "config.yaml").read_text())
    assert (config["eps"], config["attacker_gradient"], config["play"]) == (0.031, "batch-max", "leader-first")


def test_a_run_is_never_overwritten_unasked(trained, capsys):
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    assert main(["train", "dro", *QUICK, "--run", str(trained)]) == 2
    assert "is a run already and is not overwritten unasked" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}


def test_evaluate_and_report(trained, capsys):
    assert main(["evaluate", str(trained), "--attacks", "PGM-3+CW-3", "FGSM", "own", "--no-curves"]) == 0
    shown = capsys.readouterr().out
    assert "grad-l2l" in shown
    everything = json.loads((trained / "results.json").read_text())
    records = [record for record in everything if "robust" in record]
    assert [record["attack"] for record in records] == ["PGM-3 + CW-3", "FGSM", "own attacker"]
    findings = {record["finding"]: record for record in everything if "finding" in record}
    assert findings["gap"]["verdict"] == "not measured"
    assert {"athalye-5", "carlini-15", "zero-gradients"} <= set(findings)
    said = f"bilevel evaluate {trained} --attacks AutoAttack (pip install 'bilevel[eval]')"
    assert said.replace(" ", "") in shown.replace("\n", "").replace(" ", "")
    assert not (trained / "evaluation.jsonl").exists()
    for record in records:
        assert record["n"] == 360
        assert (record["method"], record["kind"], record["split"], record["eps"]) == (
            "grad-l2l",
            "learned",
            "test",
            0.2,
        )
        assert 0 <= record["robust"] <= record["clean"] <= 1
        assert record["seconds"] > 0
    assert (trained / "figures" / "examples-grad-l2l.png").stat().st_size > 10_000
    assert main(["report", str(trained), "--out", str(trained / "mine.html"), "--title", "Mine & yours"]) == 0
    page = (trained / "mine.html").read_text()
    assert "Mine &amp; yours" in page
    assert f"{100 * records[0]['robust']:.1f}" in page


def test_attackers_and_surrogates_of_other_runs(trained, tmp_path, capsys):
    plain = tmp_path / "plain"
    assert main(["train", "dro", "--method", "plain", "--seed", "1", *QUICK, "--run", str(plain)]) == 0
    words = ["evaluate", str(plain), "--attacks", "FGSM", "--no-curves", "--images", "40"]
    words += ["--surrogates", str(trained), "--attackers", str(trained)]
    assert main(words) == 0
    records = [r for r in json.loads((plain / "results.json").read_text()) if "robust" in r]
    assert [(r["attack"], r["looks"], r["n"]) for r in records] == [
        ("FGSM", "gradient", 40),
        ("attacker of grad-l2l-seed0", "gradient", 40),
        ("FGSM from grad-l2l-seed0", "surrogate", 40),
        ("PGM-10 from grad-l2l-seed0", "surrogate", 40),
    ]
    assert main([*words[:2], "--attackers", str(plain)]) == 2
    assert "plain-seed1 was trained without a learned attacker" in capsys.readouterr().err
    for wrong, message in (("0", "images must be from 1 to 360"), ("361", "images must be from 1 to 360")):
        assert main([*words[:5], "--images", wrong]) == 2
        assert message in capsys.readouterr().err


def test_an_evaluation_that_was_stopped_goes_on(trained, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for copy in (whole, broken):
        subprocess.run(["cp", "-r", trained, copy], check=True)
        (copy / "results.json").unlink(missing_ok=True)
    words = ["--attacks", "PGM-4", "Random-100", "CW-100", "--batch-size", "60", "--no-curves"]
    assert main(["evaluate", str(whole), *words]) == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks", "evaluate", str(broken), *words], stderr=subprocess.PIPE, text=True
    )
    journal = broken / "evaluation.jsonl"
    while process.poll() is None and not (journal.is_file() and journal.read_text().count("\n") > 2):
        time.sleep(0.02)
    process.kill()
    process.communicate()
    kept = journal.read_text()
    assert kept.count("\n") > 2
    assert not (broken / "results.json").exists()
    assert main(["evaluate", str(broken), *words]) == 0
    assert (broken / "results.json").read_text() == (whole / "results.json").read_text()
    assert not journal.exists()


def test_an_unknown_attack_is_refused_with_those_that_are_known(trained, capsys):
    assert main(["evaluate", str(trained), "--attacks", "pgd20"]) == 2
    assert "There is no attack 'pgd20'. Known are FGSM, PGM-<steps>" in capsys.readouterr().err


def test_a_damaged_checkpoint_is_passed_over_and_the_run_ends_the_same(trained, tmp_path, capsys):
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", trained, copy], check=True)
    last = max((copy / "checkpoints").iterdir())
    last.write_bytes(last.read_bytes()[:-2000])
    assert main(["resume", str(copy)]) == 0
    assert last.name in capsys.readouterr().err
    assert same(weights(copy), weights(trained))


def test_foreign_checkpoints_are_refused(trained, tmp_path, capsys):
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", trained, copy], check=True)
    for path in (copy / "checkpoints").iterdir():
        path.write_text("not a checkpoint")
    assert main(["evaluate", str(copy)]) == 1
    assert "checkpoint" in capsys.readouterr().err
    text = (trained / "config.yaml").read_text()
    (copy / "config.yaml").write_text(re.sub("width: 4", "width: 8", text, count=1))
    subprocess.run(["cp", "-r", trained / "checkpoints", copy], check=True)
    assert main(["evaluate", str(copy)]) == 1
    assert "does not fit the configuration of its run" in capsys.readouterr().err


def test_ctrl_c_writes_a_checkpoint_says_how_to_go_on_and_loses_nothing(tmp_path):
    words = ["train", "dro", "--width", "4", "--threads", "1", "--epochs", "15", "--checkpoint-every", "7"]
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    assert main([*words, "--run", str(unbroken)]) == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks", *words, "--run", str(broken)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    deadline = time.monotonic() + 120
    while not list((broken / "checkpoints").glob("step-0000002*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, shown = process.communicate(timeout=60)
    assert process.returncode == 130, shown
    assert f"bilevel resume {broken}" in shown
    assert "Traceback" not in shown
    assert CheckpointFolder(broken / "checkpoints").latest()[1]["solver"]["step_count"] < 15 * 18
    assert main(["resume", str(broken)]) == 0
    assert same(weights(broken), weights(unbroken))


def test_train_toy_draws_the_portraits(tmp_path, capsys):
    assert main(["train", "toy", "--steps", "30", "--run", str(tmp_path / "toy")]) == 0
    assert "distance to the equilibrium" in capsys.readouterr().out
    assert (tmp_path / "toy" / "figures" / "portraits.png").stat().st_size > 10_000
    assert main(["resume", str(tmp_path / "toy")]) == 2
    assert "is a run of the task 'toy'" in capsys.readouterr().err
