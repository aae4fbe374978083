"""A training that another run has finished is not made twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bilevel.checkpoint import CheckpointFolder
from bilevel.errors import CheckpointError
from tasks.events import Watch
from tasks.run import Run
from tasks.vision.borrow import borrow
from tasks.vision.config import DROConfig
from tasks.vision.sweep import Assessment, part_name, sweep

BASE = DROConfig(epochs=2, width=4, train_images=256, validation_images=60, test_images=60, method="fgsm", eps=0.031)
NAME = part_name(BASE)


class Quiet(Watch):
    def event(self, part, what, numbers):
        pass


def attack(run, config, name):
    sweep(run, [config], Assessment((name,)), workers=1, watch=Quiet())
    return [r for r in run.results() if r.get("attack") == name]


@pytest.fixture(scope="module")
def lender(tmp_path_factory):
    run = Run.create(tmp_path_factory.mktemp("runs") / "lender", {})
    attack(run, BASE, "FGSM")
    return run


def test_the_borrowed_training_is_the_lender_s(lender, tmp_path):
    run = Run.create(tmp_path / "run", {})
    other = replace(BASE, seed=5)
    assert borrow(run, [BASE, other], [Run.create(tmp_path / "empty", {}), lender]) == [NAME]
    assert {path.name for path in run.part(NAME).iterdir()} == {"checkpoints", "metrics.csv", "evaluation.jsonl"}
    (path,) = CheckpointFolder(run.part(NAME) / "checkpoints").files()
    theirs = CheckpointFolder(lender.part(NAME) / "checkpoints").files()[-1]
    assert path.name == theirs.name
    assert path.read_bytes() == theirs.read_bytes()
    (found,) = attack(run, BASE, "PGM-2")
    (before,) = [r for r in lender.results() if r.get("attack") == "FGSM"]
    assert (found["clean"], found["seconds"]) == (before["clean"], before["seconds"])
    assert CheckpointFolder(run.part(NAME) / "checkpoints").files() == [path]  # not a step more was taken
    assert (run.part(NAME) / "metrics.csv").read_bytes() == (lender.part(NAME) / "metrics.csv").read_bytes()


def test_an_attack_that_the_lender_made_is_not_made_again(lender, tmp_path, monkeypatch):
    def lines(run):
        return set((run.part(NAME) / "attacked.jsonl").read_text().split("\n"))

    run, again = Run.create(tmp_path / "run", {}), Run.create(tmp_path / "again", {})
    borrow(run, [BASE], [lender])
    (ours,), (theirs,) = attack(run, BASE, "FGSM"), [r for r in lender.results() if r.get("attack") == "FGSM"]
    assert ours == theirs
    assert lines(run) == lines(lender)  # nothing was added: all of it was known
    attack(again, BASE, "PGM-2")
    assert not lines(again) & lines(lender) - {""}
    borrow(third := Run.create(tmp_path / "third", {}), [BASE], [again])  # what was found can be lent on
    attack(third, BASE, "FGSM")
    assert lines(third) > lines(again)


@pytest.mark.parametrize("change", [{"eps": 0.05}, {"data_dir": "elsewhere"}, {"lr": 0.2}, {"epochs": 3}])
def test_a_training_with_any_other_setting_is_not_borrowed(lender, tmp_path, change):
    run = Run.create(tmp_path / "run", {})
    assert borrow(run, [replace(BASE, **change)], [lender]) == []
    assert not list(run.part(NAME).iterdir())


def test_what_is_begun_here_or_unfinished_there_is_left_alone(lender, tmp_path):
    run = Run.create(tmp_path / "run", {})
    (run.part(NAME) / "metrics.csv").write_text("begun")
    assert borrow(run, [BASE], [lender]) == []
    assert [path.name for path in run.part(NAME).iterdir()] == ["metrics.csv"]
    unfinished = Run.create(tmp_path / "unfinished", {})
    assert borrow(unfinished, [BASE], [lender]) == [NAME]  # trained, but not attacked
    assert borrow(Run.create(tmp_path / "third", {}), [BASE], [unfinished]) == []


def test_a_lender_whose_checkpoints_are_all_damaged_is_named(lender, tmp_path):
    copy = Run.create(tmp_path / "copy", {})
    borrow(copy, [BASE], [lender])
    attack(copy, BASE, "FGSM")
    for path in CheckpointFolder(copy.part(NAME) / "checkpoints").files():
        path.write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="copy/parts"):
        borrow(Run.create(tmp_path / "run", {}), [BASE], [copy])
