"""The numbers that were printed, and how those measured here stand beside them."""

from __future__ import annotations

import math

import pytest

from tasks.reproduce.comparison import accuracy_table
from tasks.reproduce.published import BLACKBOX, SLIM, TABLE2, TABLE3, TABLE4, Published
from tasks.reproduce.scale import SCALES


@pytest.mark.parametrize("published", [*TABLE2.values(), *SLIM.values(), *BLACKBOX.values(), TABLE3, TABLE4])
def test_every_printed_row_has_a_number_or_a_gap_for_each_column(published):
    assert all(len(row) == len(published.columns) for row in published.rows.values())
    assert all(number is None or number >= 0 for row in published.rows.values() for number in row)
    if published is not TABLE3:
        assert all(number is None or number <= 100 for row in published.rows.values() for number in row)


def test_numbers_are_found_by_row_and_column():
    assert TABLE2["cifar10"].number("2-Step L2L", "PGM-100") == 52.12
    assert TABLE2["cifar100"].number("Grad L2L", "CW") == 29.65
    assert BLACKBOX["svhn"].number("Naive L2L", "PGM Net: FGSM") == 85.31
    assert TABLE3.number("PGM Net", "cifar10") == 1310.8
    assert TABLE4.number("AIT", "AutoAttack") is None
    assert TABLE4.number("Nobody", "clean") is None


def test_columns_are_measured_by_the_attacks_that_were_printed_or_it_is_said():
    assert SCALES["paper"].attacks["CW"] == "CW-search-100"
    assert SCALES["cpu"].substitutes == "Measured here: CW by CW-100, Random by Random-1000."
    for published in TABLE2.values():
        rows = [row for row in published.rows if (published.number(row, "CW") or 0) > 0]
        assert all(published.number(row, "CW") > published.number(row, "PGM-20") for row in rows)
        assert "in each row of a robust network" in published.doubt


def record(method, seed, attack, robust, *, clean=0.9):
    return {"method": method, "seed": seed, "attack": attack, "robust": robust, "clean": clean, "n": 100}


def test_a_cell_is_the_mean_beside_the_printed_number():
    published = Published("a table", ("clean", "PGM-20"), {"One": (80.0, 50.5), "Two": (70.0, None)}, "Doubtful.")
    records = [
        record("one", 1, "PGM-20", 0.4, clean=0.8),
        record("one", 2, "PGM-20", 0.5, clean=0.9),
        record("one", 2, "CW-20", 0.1),
        record("two", 1, "PGM-20", 0.25),
    ]
    table = accuracy_table(
        "made", records, published, {"One": "one", "Two": "two", "Three": "three"}, {"clean": "clean", "P": "PGM-20"}
    )
    one, two, three = table.rows
    assert [cell.text for cell in one] == ["One", "85.0 / 80", "45.0 / –"]
    spread = 100 * max(math.sqrt(0.005 / 2), math.sqrt(0.4 * 0.6 + 0.25) / 20)
    assert one[2].error == f"± {spread:.1f}"
    assert one[2].notes == ("worst 40.0",)
    assert [cell.text for cell in two] == ["Two", "90.0 / 70", "25.0 / –"]
    assert two[1].notes == ()
    assert [cell.text for cell in three] == ["Three", "– / –", "– / –"]
    assert "Doubtful." in table.note
    assert "n = 100 images a seed, seeds: 2" in table.note
