"""Tables of a report: the numbers are those of the records, of one run or of several."""

from __future__ import annotations

from report_cases import cells, make, record, texts

from tasks.report import summarise
from tasks.report.material import gather
from tasks.report.setup_tables import configuration_tables


def test_the_main_table_by_hand(tmp_path):
    run = make(tmp_path / "run", [
        record("pgm-3", "PGM-20", 0.75, seed=0), record("pgm-3", "CW-20", 0.5, seed=0),
        record("pgm-3", "PGM-20", 0.625, seed=1, seconds=20.0), record("pgm-3", "CW-20", 0.75, seed=1, seconds=20.0),
        record("grad-l2l", "PGM-20", 0.5, clean=0.8), record("grad-l2l", "CW-20", 0.4, clean=0.8),
    ])  # fmt: skip
    (table,) = summarise([run]).tables
    assert table.header[:4] == ("method", "strongest attack", "clean", "training, s")
    assert table.header[4] == "CW-20"  # of the attacks, the one that leaves least comes first
    rows = cells(table)
    assert list(rows) == ["pgm-3", "grad-l2l"]
    strongest = rows["pgm-3"]["strongest attack"]
    # The seeds' lowest are 0.5 (CW) and 0.625 (PGM): sd 0.125/√2, and by the images √(.25/100 + .234375/100)/2 = 3.48.
    assert strongest.text == "56.2"
    assert strongest.notes == ("CW-20", "worst 50.0, sd 8.8")
    assert strongest.error == "± 6.2"
    assert strongest.best
    assert rows["pgm-3"]["CW-20"].text == "62.5"
    assert rows["pgm-3"]["CW-20"].notes == ("worst 50.0", "sd 17.7")
    assert rows["pgm-3"]["training, s"].text == "15.0"
    assert rows["grad-l2l"]["strongest attack"].text == "40.0"
    assert rows["grad-l2l"]["strongest attack"].error == "± 4.9"
    assert not rows["grad-l2l"]["clean"].best
    assert table.learned == {1}
    assert "n = 100 images" in table.note


def test_the_kind_is_taken_from_the_record_before_the_name(tmp_path):
    records = [record("mine", "PGM-20", 0.5, kind="learned"), record("x-l2l", "PGM-20", 0.4, kind="hand-written")]
    assert summarise([make(tmp_path / "run", records)]).tables[0].learned == {0}


def test_auto_attack_leads_and_settings_stand_beside_the_numbers(tmp_path):
    records = [
        record("fgsm", "PGM-20", 0.5, steps=20, step_size=0.02, start="Center()"),
        record("fgsm", "AutoAttack", 0.4), record("plain", "PGM-20", 0.3, steps=20, step_size=0.02, start="Center()"),
    ]  # fmt: skip
    run = make(tmp_path / "run", records)
    (table,) = summarise([run]).tables
    assert table.header[:3] == ("method", "AutoAttack", "strongest attack")
    rows = cells(table)
    assert rows["fgsm"]["AutoAttack"].text == "40.0"
    assert rows["plain"]["AutoAttack"].text == "not run"
    assert "PGM-20: 20 steps of 0.02 from Center()." in table.note
    said = "AutoAttack was not run on plain, so that accuracies under attack are upper bounds: "
    said += f"bilevel evaluate {run.path} --attacks AutoAttack"
    assert table.note.startswith(said)
    assert said in texts(summarise([run]), caution=True)


def test_no_accuracy_under_pgm_stands_alone(tmp_path):
    run = make(tmp_path / "run", [record("fgsm", "PGM-20", 0.5)])
    summary = summarise([run])
    assert summary.tables[0].note.startswith("AutoAttack was not run, so that accuracies under attack are upper bounds")
    assert "--attacks AutoAttack" in texts(summary, caution=True)
    whole = make(tmp_path / "whole", [record("fgsm", "PGM-20", 0.5), record("fgsm", "AutoAttack", 0.4)])
    assert "not run" not in summarise([whole]).tables[0].note


def test_settings_do_not_mix(tmp_path):
    records = [record("fgsm", "PGM-20", 0.5), record("fgsm", "PGM-20", 0.7, eps=0.1),
               record("fgsm", "PGM-20", 0.6, split="validation")]  # fmt: skip
    tables = summarise([make(tmp_path / "run", records)]).tables
    assert [table.rows[0][1].text for table in tables] == ["50.0", "70.0", "60.0"]  # validation last


def test_seeds_of_several_runs_are_pooled(tmp_path):
    runs = [make(tmp_path / f"run{seed}", [record("fgsm", "PGM-20", value, seed=seed)], seed=seed)
            for seed, value in enumerate((0.5, 0.75))]  # fmt: skip
    row = cells(summarise([*runs, runs[0]]).tables[0])["fgsm"]
    assert row["PGM-20"].text == "62.5"
    assert row["PGM-20"].notes == ("worst 50.0", "sd 17.7")


def test_the_same_method_and_seed_in_two_runs_are_two_things(tmp_path):
    runs = [make(tmp_path / name, [record("fgsm", "PGM-20", value)]) for name, value in (("one", 0.5), ("two", 0.75))]
    assert list(cells(summarise(runs).tables[0])) == ["fgsm (two)", "fgsm (one)"]


def test_runs_whose_settings_have_other_names_are_joined(tmp_path):
    # A run of an earlier version does not know a setting that a later one leaves empty.
    one = [record("pgm-3", "PGM-20", 0.5)]
    runs = [make(tmp_path / "old", one, seed=1, lr=0.1), make(tmp_path / "new", one, seed=2, lr=0.1, only=[], ema=0.9)]
    different, shared = configuration_tables(gather(runs))
    assert [tuple(cell.text for cell in row) for row in different.rows] == [("seed", "1", "2"), ("ema", "–", "0.9")]
    assert {row[0].text: row[1].text for row in shared.rows} == {"task": "dro", "lr": "0.1", "only": "–"}
