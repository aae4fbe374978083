"""The masking check of every defence, side by side."""

from __future__ import annotations

from reproduce_cases import ONE

from tasks.reproduce.experiments import EXPERIMENTS
from tasks.run import Run


def test_masking_lists_every_item_of_each_defence(tmp_path):
    run, experiment = Run.create(tmp_path / "run", {}), EXPERIMENTS["masking"]
    item = {"task": "dro", "data": "digits", "seed": 1, "split": "test", "finding": "athalye-1", "item": "Iterative"}
    run.append_results(
        [item | {"method": "pgm-10", "verdict": "passed"}, item | {"method": "ait", "verdict": "warning"}]
    )
    (table,) = experiment.tables(run, ONE)
    assert [cell.text for cell in table.rows[0]] == ["Iterative", "passed", "–", "–", "warning", "–"]
    assert [cell.best for cell in table.rows[0]] == [False, False, False, False, True, False]
