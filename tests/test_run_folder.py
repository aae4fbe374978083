"""Run folders: made once, never overwritten unasked, and whole whatever happens."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from bilevel.errors import ConfigurationError
from tasks.run import Run, RunError

RECORD = {
    "task": "dro", "method": "pgm-3", "data": "digits", "attack": "PGM-20", "seed": 0, "split": "test",
    "clean": 0.95, "robust": 0.75, "n": 397, "eps": 0.2, "norm": "linf",
}  # fmt: skip


def test_config_comes_back_as_it_was(tmp_path):
    config = {
        "eps": 0.2, "lr": 1e-5, "steps": 3, "warm": True, "name": "yes", "none": None, "sizes": (8, 16),
        "model": {"width": 16}, "folder": Path("data/digits"), "umlaut": "Größe: ε",
    }  # fmt: skip
    made = Run.create(tmp_path / "run", config)
    found = Run.open(tmp_path / "run")
    assert found.config == made.config == config | {"sizes": [8, 16], "folder": "data/digits"}
    assert [type(v) for v in found.config.values()] == [type(v) for v in made.config.values()]


def test_folders_are_there(tmp_path):
    run = Run.create(tmp_path / "deep" / "run", {})
    assert run.checkpoints.is_dir()
    assert run.figures.is_dir()
    assert run.metrics == run.path / "metrics.csv"
    assert run.part("pgm-3").is_dir()
    assert run.results() == run.curves() == []


@pytest.mark.parametrize("name", ["", "..", "a/b", "/tmp"])
def test_a_part_stays_inside_its_run(tmp_path, name):
    run = Run.create(tmp_path / "run", {})
    with pytest.raises(ConfigurationError, match="part of a run"):
        run.part(name)


def test_a_setting_that_yaml_cannot_hold_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"model\.layer is a object"):
        Run.create(tmp_path / "run", {"model": {"layer": object()}})
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_overwritten_unasked(tmp_path):
    run = Run.create(tmp_path / "run", {"a": 1})
    run.append_results([RECORD])
    with pytest.raises(ConfigurationError, match=r"bilevel resume .*run.*--overwrite.*another name"):
        Run.create(tmp_path / "run", {"a": 2})
    assert Run.open(tmp_path / "run").config == {"a": 1}
    assert run.results() == [RECORD]


def test_overwriting_removes_the_run_and_nothing_else(tmp_path):
    run = Run.create(tmp_path / "run", {"a": 1})
    run.append_results([RECORD])
    (run.checkpoints / "step-1.pt").touch()
    (run.part("fgsm") / "metrics.csv").touch()
    (run.path / "my notes.txt").write_text("keep")
    again = Run.create(tmp_path / "run", {"a": 2}, overwrite=True)
    assert again.results() == []
    assert not list(again.checkpoints.iterdir())
    assert not (again.path / "parts").exists()
    assert (again.path / "my notes.txt").read_text() == "keep"
    assert Run.open(again.path).config == {"a": 2}


def test_a_folder_that_is_no_run_is_never_overwritten(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigurationError, match=r"not a run.*another name"):
        Run.create(tmp_path, {}, overwrite=True)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="is a file"):
        Run.create(tmp_path / "file", {}, overwrite=True)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_an_empty_folder_is_free(tmp_path):
    assert Run.create(tmp_path, {"a": 1}).config == {"a": 1}


def test_opening_what_is_no_run(tmp_path):
    with pytest.raises(RunError, match="does not exist"):
        Run.open(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="is a file"):
        Run.open(tmp_path / "file")
    Run.create(tmp_path / "runs" / "one", {})
    with pytest.raises(RunError, match=r"not a run.*config\.yaml.*contains the runs one"):
        Run.open(tmp_path / "runs")


@pytest.mark.parametrize("content", ["a: [1, 2", "- 1\n- 2\n", "just text", "", "a: !!python/object:os.system {}"])
def test_an_unreadable_config_is_named(tmp_path, content):
    Run.create(tmp_path / "run", {})
    (tmp_path / "run" / "config.yaml").write_text(content)
    with pytest.raises(RunError, match=r"config\.yaml"):
        Run.open(tmp_path / "run")


def test_a_record_of_the_same_identity_is_replaced(tmp_path):
    run = Run.create(tmp_path / "run", {})
    changed = {"attack": "CW-20", "seed": 1, "split": "validation", "eps": 0.1, "norm": "l2", "method": "fgsm"}
    other = [RECORD | {field: value} for field, value in changed.items()]
    run.append_results([RECORD, *other])
    run.append_results([RECORD | {"robust": 0.5, "seconds": 3.0}])
    assert run.results() == [RECORD | {"robust": 0.5, "seconds": 3.0}, *other]


def test_a_curve_point_of_the_same_identity_is_replaced(tmp_path):
    run = Run.create(tmp_path / "run", {})
    points = [{"method": "fgsm", "seed": 0, "curve": c, "x": x, "robust": 0.5, "n": 9, "attack": "PGM-20"}
              for c in ("eps", "iterations") for x in (1, 2)]  # fmt: skip
    run.append_curves(points)
    run.append_curves([points[2] | {"robust": 0.25}])
    assert run.curves() == [*points[:2], points[2] | {"robust": 0.25}, points[3]]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1], {"a": 1}])
def test_a_result_is_a_finite_number_or_text(tmp_path, value):
    run = Run.create(tmp_path / "run", {})
    with pytest.raises(ConfigurationError, match="robust = "):
        run.append_results([RECORD | {"robust": value}])
    assert not (run.path / "results.json").exists()


@pytest.mark.parametrize("content", ['[{"a": 1', "{}", "[1, 2]", "\x00"])
def test_damaged_results_are_kept_aside(tmp_path, content):
    run = Run.create(tmp_path / "run", {})
    (run.path / "results.json").write_text(content)
    with pytest.raises(RunError, match=r"results\.json is damaged.*results\.json\.damaged.*bilevel evaluate"):
        run.results()
    assert (run.path / "results.json.damaged").read_text() == content
    assert run.results() == []


def test_new_records_survive_damaged_old_ones(tmp_path):
    run = Run.create(tmp_path / "run", {})
    (run.path / "results.json").write_text("[{")
    with pytest.warns(UserWarning, match="damaged"):
        run.append_results([RECORD])
    assert run.results() == [RECORD]
    assert (run.path / "results.json.damaged").read_text() == "[{"


def test_a_full_disk_leaves_the_old_results(tmp_path):
    run = Run.create(tmp_path / "run", {})
    run.append_results([RECORD])
    # The kernel refuses to write more than the limit, as it does on a full disk.
    script = f"""
import resource, signal
from tasks.run import Run, RunError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
run = Run.open({str(run.path)!r})
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, {resource.RLIM_INFINITY}))
try:
    run.append_results({{"method": "m" * 100, "seed": seed}} for seed in range(100))
except RunError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": "."}
    )
    assert "cannot write" in done.stdout
    assert "file too large" in done.stdout
    assert run.results() == [RECORD]
    assert sorted(path.name for path in run.path.iterdir()) == ["checkpoints", "config.yaml", "figures", "results.json"]


def test_results_are_plain_json(tmp_path):
    run = Run.create(tmp_path / "run", {})
    run.append_results([RECORD | {"method": "größer ε"}])
    assert json.loads((run.path / "results.json").read_text(encoding="utf-8"))[0]["method"] == "größer ε"
