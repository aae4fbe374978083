"""Sentences of a report: what is said of the frontier, and which comparisons are not made."""

from __future__ import annotations

from report_cases import POINTS, cells, hand_written, make, record, texts

from tasks.report import summarise


def test_above_the_frontier_in_words(tmp_path):
    # At 2 s the frontier is b: 50 ± 5 (n = 100). The learned method: 80 ± 4, so +30 ± hypot(4, 5) = 6.4.
    run = make(tmp_path / "run", [*hand_written(), record("grad-l2l", "PGM-20", 0.8, seconds=2.0)])
    said = texts(summarise([run]), caution=False)
    assert "grad-l2l lies 30.0 points (standard error 6.4) above the frontier" in said
    assert "grad-l2l is the most robust: 80.0 ± 4.0 %" in said
    level = make(tmp_path / "level", [*hand_written(), record("grad-l2l", "PGM-20", 0.6, seconds=2.0)])
    said = texts(summarise([level]), caution=False)
    assert "No learned method lies above the frontier" in said
    assert "Not distinguishable from the frontier: grad-l2l (+10.0 points, standard error 7.0)" in said


def test_a_method_that_was_spared_an_attack_is_not_compared(tmp_path):
    strong = [record(p.name, "CW-100", p.accuracy / 2, seconds=p.seconds) for p in POINTS]
    run = make(tmp_path / "run", [*hand_written(), *strong, record("grad-l2l", "PGM-20", 0.9, seconds=2.0)])
    summary = summarise([run])
    assert "grad-l2l did not meet CW-100" in texts(summary, caution=True)
    assert "frontier" not in texts(summary, caution=False)
    assert "d is the most robust" in texts(summary, caution=False)


def test_attacks_on_fewer_images_are_named(tmp_path):
    few = record("fgsm", "AutoAttack", 0.4) | {"n": 20}
    whole = make(tmp_path / "whole", [record("fgsm", "PGM-20", 0.5), record("fgsm", "AutoAttack", 0.4)])
    assert "fewer images" not in texts(summarise([whole]), caution=True)
    said = texts(summarise([make(tmp_path / "few", [record("fgsm", "PGM-20", 0.5), few])]), caution=True)
    assert "fgsm met AutoAttack (20) on fewer images than the " in said


def test_a_seed_that_was_spared_an_attack_is_left_out(tmp_path):
    records = [record("fgsm", "PGM-20", 0.6), record("fgsm", "CW-20", 0.5), record("fgsm", "PGM-20", 0.8, seed=1)]
    summary = summarise([make(tmp_path / "run", records)])
    assert cells(summary.tables[0])["fgsm"]["strongest attack"].text == "50.0"
    assert "(fgsm: 1)" in texts(summary, caution=True)
