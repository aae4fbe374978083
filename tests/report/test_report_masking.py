"""Gradient masking in a report: findings of the check, and signs in the numbers."""

from __future__ import annotations

import pytest
from report_cases import Page, finding, make, record, texts

from tasks.report import summarise, write_report


def test_the_masking_check_is_shown_the_worst_first(tmp_path):
    records = [record("fgsm", "AutoAttack", 0.5), finding("fgsm", "a", "passed"), finding("fgsm", "b", "warning"),
               finding("fgsm", "c", "not measured"), finding("fgsm", "d", "not decidable")]  # fmt: skip
    run = make(tmp_path / "run", records)
    assert "The masking check warns of fgsm" in texts(summarise([run]), caution=True)
    page = Page(write_report([run], run.path, title="").read_text())
    assert "Masking check" in page.headings
    shown = [row[0] for row in page.rows if row[-1] in {"a", "b", "c", "d"}]
    assert shown == ["warning", "not measured", "not decidable", "passed"]
    assert "Other results" not in page.headings


def test_of_several_seeds_the_worst_finding_counts(tmp_path):
    records = [record("fgsm", "AutoAttack", 0.5), record("plain", "AutoAttack", 0.1)]
    records += [finding("fgsm", "a", "passed"), finding("fgsm", "a", "warning", "In seed one.", seed=1)]
    records += [finding("plain", "a", "passed")]
    run = make(tmp_path / "run", records)
    page = Page(write_report([run], run.path, title="").read_text())
    assert ["fgsm", "1", "0", "0", "0"] in page.rows
    assert ["plain", "0", "0", "0", "1"] in page.rows
    assert ["fgsm", "a holds.", "In seed one. (seed 1)"] in page.rows
    assert "no sign of masked gradients in plain" in texts(summarise([run]), caution=False)


@pytest.mark.parametrize(
    ("attacks", "said"),
    [
        ({"PGM-20": 0.7, "CW-20": 0.4}, "CW-20 takes 30.0 points more from fgsm"),
        ({"PGM-20": 0.7, "PGM-100 + CW-100": 0.4}, "PGM-100 + CW-100 takes 30.0 points more from fgsm"),
        ({"PGM-20": 0.7, "Random-1000": 0.4}, "fgsm falls further to Random-1000"),
    ],
)
def test_signs_of_masking_are_pointed_out(tmp_path, attacks, said):
    run = make(tmp_path / "run", [record("fgsm", attack, robust) for attack, robust in attacks.items()])
    assert said in texts(summarise([run]), caution=True)
    honest = make(tmp_path / "honest", [record("fgsm", attack, 0.7) for attack in attacks])
    assert "gradient masking" not in texts(summarise([honest]), caution=True)
    assert "flatters" not in texts(summarise([honest]), caution=True)
