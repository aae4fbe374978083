"""A toy run from its configuration to its files, and as a command."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from bilevel.errors import ConfigurationError
from tasks.cli import main
from tasks.run import Run
from tasks.toy import MethodSettings, ToyConfig, exact
from tasks.toy.train import train_toy

METHODS = ("simultaneous", "extragradient", "competitive", "unrolled", "learned", "learned-lives-on")


def test_a_run_writes_what_happened(tmp_path):
    config = ToyConfig(step=(0.05,), steps=60, methods=METHODS, method_settings=MethodSettings(inner_steps=2))
    train_toy(config, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    assert run.config["task"] == "toy"
    assert run.config["step"] == [0.05]
    assert run.config["method_settings"]["inner_steps"] == 2
    records = {record["method"]: record for record in run.results()}
    assert tuple(records) == METHODS
    assert all(
        (one["task"], one["data"], one["steps"], one["start_radius"]) == ("toy", "xy", 60, 1.0)
        for one in records.values()
    )
    assert records["simultaneous"]["radius"] == pytest.approx(exact.simultaneous_growth(0.05) ** 60, rel=1e-12)
    assert records["learned"]["distance"] < 1e-3
    costs = {"simultaneous": 60, "extragradient": 120, "competitive": 240, "unrolled": 180, "learned": 120}
    assert {name: records[name]["evaluations"] for name in costs} == costs
    learned = records["learned"]
    assert learned["evaluations_to"] == 2 * learned["steps_to"]
    assert not any(one["step_is_last"] for one in records.values())  # of one step size none is the last
    assert records["extragradient"]["steps_to"] is records["extragradient"]["evaluations_to"] is None
    for method in METHODS:
        with (run.path / "parts" / method / "metrics.csv").open(encoding="utf-8") as file:
            table = list(csv.DictReader(file))
        assert [int(row["step"]) for row in table] == list(range(61))
        x, y, distance = (float(table[-1][name]) for name in ("x0", "y0", "distance"))
        assert distance == records[method]["distance"] == pytest.approx(math.hypot(x, y), rel=1e-12)
        assert float(table[-1]["evaluations"]) == records[method]["evaluations"]
        within = [float(row["distance"]) <= 1e-3 for row in table]
        first = records[method]["steps_to"]
        assert (first is None and not within[-1]) or (all(within[first:]) and not within[first - 1])
    for name in ("portraits", "distance"):
        assert (run.figures / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_two_players_may_have_different_sizes(tmp_path):
    config = ToyConfig(game="many-solutions", methods=("simultaneous", "implicit"), steps=3)
    run = train_toy(config, tmp_path / "run")
    header = (run.path / "parts" / "simultaneous" / "metrics.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == "step,evaluations,x0,y0,y1,distance"
    first, second = run.results()
    assert first["nash_distance"] == 0
    assert (first["unsolved"], second["unsolved"]) == (0, 3)


def test_a_run_is_not_overwritten_unasked(tmp_path):
    config = ToyConfig(steps=2, methods=("simultaneous",))
    train_toy(config, tmp_path / "run")
    with pytest.raises(ConfigurationError):
        train_toy(config, tmp_path / "run")
    again = train_toy(replace(config, steps=3), tmp_path / "run", overwrite=True)
    assert [record["steps"] for record in again.results()] == [3]


def test_progress_is_shown_on_a_terminal_only(tmp_path):
    config = ToyConfig(steps=2, methods=("follower-first",))
    for terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
        train_toy(config, tmp_path / str(terminal), console=console)
        assert ("follower-first" in console.file.getvalue()) == terminal


def test_the_command_prints_a_table(tmp_path, capsys):
    words = ["train", "toy", "--preset", "stackelberg", "--steps", "30", "--methods", "simultaneous", "unrolled"]
    assert main([*words, "--inner-steps", "2", "--inner-step", "0.5", "--step", "0.5", "--run", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(
        "duopoly, 30 steps. Steps and gradient evaluations until the distance stays within 0.001"
    )
    assert lines[2].split() == ["step", "steps", "evaluations", "distance", "to", "the", "solution", "to", "Nash"]
    simultaneous, unrolled = (line.split() for line in lines[3:5])
    assert simultaneous[:4] == ["simultaneous", "0.5", "never", "never"]
    assert float(simultaneous[5]) < 1e-8
    steps = math.ceil(math.log(1e-3) / math.log(0.5))  # half of the way is left by each step; the first is another
    assert int(unrolled[2]) == pytest.approx(steps, abs=1)
    assert float(unrolled[3]) == 3 * int(unrolled[2])
    assert float(unrolled[4]) < 1e-8


def test_the_command_says_what_does_not_fit(tmp_path, capsys):
    assert main(["train", "toy", "--methods", "implicit", "--run", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert "linear in y" in said
    assert "duopoly" in said
    assert not (tmp_path / "run").exists()
