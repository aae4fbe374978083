"""White-box tables: every row is trained and attacked, and a stopped run goes on."""

from __future__ import annotations

from dataclasses import replace

from reproduce_cases import AS_PRINTED, ONE, REQUEST, Heard

from tasks.reproduce.experiments import EXPERIMENTS
from tasks.reproduce.published import Published
from tasks.reproduce.white_box import WhiteBox
from tasks.run import Run


def test_white_box_trains_and_attacks_every_row_and_goes_on_where_it_was_stopped(tmp_path):
    published = Published("nowhere", ("clean", "PGM-20", "own"), {"Plain": (99.0, 0.5, None)})
    experiment = WhiteBox("A table", {"digits": published}, rows=("Plain", "Grad L2L"))
    run, heard = Run.create(tmp_path / "run", {}), Heard()
    assert len(experiment.configs(REQUEST)) == 4
    experiment.work(run, replace(REQUEST, seeds=(1,)), heard)
    first = run.results()
    assert {(r["method"], r["attack"]) for r in first if "attack" in r} == {
        ("plain", "PGM-2"), ("grad-l2l", "PGM-2"), ("grad-l2l", "own attacker"),
    }  # fmt: skip
    experiment.work(run, REQUEST, heard)
    assert {r["seed"] for r in run.results()} == {1, 2}
    assert all(r in run.results() for r in first)
    (table,) = experiment.tables(run, REQUEST)
    plain = run.results()[0]
    clean = [r["clean"] for r in run.results() if r["method"] == "plain" and "clean" in r]
    assert plain["n"] == 40
    assert "Measured here: PGM-20 by PGM-2" in table.note
    assert table.rows[0][1].text == f"{100 * sum(clean) / 2:.1f} / 99"
    assert table.rows[0][3].text == "– / –"  # it has no attacker of its own


def test_a_white_box_table_of_some_rows_has_these_only(tmp_path):
    run, experiment = Run.create(tmp_path / "run", {}), EXPERIMENTS["slim"]
    asked = replace(AS_PRINTED, only=("2-step-l2l", "grad-l2l"))
    assert [config.label for config in experiment.configs(asked)] == ["grad-l2l", "2-step-l2l"]
    (table,) = experiment.tables(run, asked)
    assert [row[0].text for row in table.rows] == ["Grad L2L", "2-Step L2L"]


def test_interpolation_is_shown_with_what_autoattack_leaves(tmp_path):
    run, experiment = Run.create(tmp_path / "run", {}), EXPERIMENTS["table4"]
    known = {"task": "ait", "data": "digits", "split": "test", "n": 10, "clean": 0.9, "seed": 1}
    run.append_results([known | {"method": "ait", "attack": "AutoAttack", "robust": 0.1},
                        known | {"method": "ait-grad-l2l", "attack": "PGM-20", "robust": 0.7}])  # fmt: skip
    assert [c.method for c in experiment.configs(ONE)] == ["ait", "grad-l2l"]
    (table,) = experiment.tables(run, AS_PRINTED)
    assert table.header[:4] == ("defence", "clean", "AutoAttack", "PGM-20")
    assert [cell.text for cell in table.rows[0][1:4]] == ["90.0 / 90.43", "10.0 / –", "– / 75.33"]
    assert table.rows[1][3].text == "70.0 / 80.87"
