"""What is shown of cleaning: several seeds, what diverged, and every weight by its label."""

from __future__ import annotations

from dataclasses import replace

from cleaning_runs import QUICK, cleaned, separated

from tasks.cleaning.figures import draw_all
from tasks.cleaning.table import HEADER, results_rows
from tasks.cleaning.train import train_cleaning


def test_what_diverges_is_a_result_like_another(tmp_path):
    run = train_cleaning(replace(QUICK, inner_rate=1e30, methods=("unrolled",), models=("mlp",)), tmp_path / "run")
    records = {r["method"]: r for r in run.results()}
    assert records["unrolled"]["diverged"]
    assert records["unrolled"]["test_accuracy"] is records["unrolled"]["f1"] is records["unrolled"]["seconds"] is None
    (row,) = (row for row in results_rows(run.results()) if row[1].startswith("unrolled"))
    assert row[1:4] == ("unrolled (1 of 1 diverged)", "–", "–")


def test_several_seeds_are_a_mean_and_a_spread():
    def record(seed, test, f1):
        return {
            "model": "linear", "method": "unrolled", "seed": seed, "diverged": False, "test_accuracy": test, "f1": f1,
            "test_with_validation": None, "precision": None, "recall": 1.0, "seconds": 2.0, "steps": 100,
            "peak_memory_mb": 3.0,
        }  # fmt: skip

    (row,) = results_rows([record(0, 0.8, 0.5), record(1, 0.9, 0.7)])
    assert len(row) == len(HEADER)
    assert row == (
        "linear", "unrolled", "0.8500 ± 0.0707", "–", "0.6000 ± 0.1414", "–", "1.0000 ± 0.0000", "2.0", "20.0", "3.00"
    )  # fmt: skip


def test_the_histogram_shows_every_weight_by_its_label(tmp_path):
    setting = separated()
    outcome = cleaned(setting, "truncated", tmp_path)
    axes = draw_all([outcome])["weights"].axes[0]
    right, wrong = ([bar.get_height() for bar in bars] for bars in axes.containers)
    assert (sum(right), sum(wrong)) == (15, 3)
    assert sum(right[:20]) == sum(wrong[20:]) == 0  # all of them were found
