"""New networks trained by rules and by optimizers at their best rates, side by side."""

from __future__ import annotations

import csv
import math
from dataclasses import replace

import pytest
import torch
from meta_cases import QUICK, images
from real_data import DATA, needs
from torch import nn

from bilevel.errors import ConfigurationError
from tasks.meta.build import build, problem_of, rule_of
from tasks.meta.compare import Comparison
from tasks.meta.contestants import BILEVEL, L2L, NOT, NOT_ADVERSARIAL, TRANSFER, learned, method_of, rivals
from tasks.meta.data import halves, load_halves
from tasks.meta.figures import panels, table_of
from tasks.meta.generalisation import cases, generalisation_table
from tasks.meta.mixture import CLEAN
from tasks.meta.presets import PRESETS
from tasks.meta.quadratics import QuadraticProblem
from tasks.meta.study import FIGURES, Study, part_name
from tasks.meta.tables import claim, comparison_table
from tasks.meta.transfer import Trial
from tasks.run import Run


def test_halves_share_nothing_and_each_class_has_its_share():
    pool = replace(images(count=61, classes=3), pixels=torch.arange(61, dtype=torch.uint8).reshape(61, 1, 1, 1))
    first, second = halves(pool, seed=3)
    assert (len(first), len(second)) == (30, 31)
    assert sorted([*first.pixels.flatten().tolist(), *second.pixels.flatten().tolist()]) == list(range(61))
    assert torch.bincount(first.labels).tolist() == [10, 10, 10]
    assert not torch.equal(first.pixels, halves(pool, seed=4)[0].pixels)
    assert torch.equal(first.pixels, halves(pool, seed=3)[0].pixels)


@needs("mnist")
def test_mnist_in_halves():
    data = load_halves("mnist", 0, data_dir=str(DATA / "mnist"), test_images=500)
    assert [len(part) for part in (data.meta, data.transfer, data.validation, data.test)] == [27_000, 27_000, 6000, 500]
    network = problem_of(replace(PRESETS["mnist"], data_dir=str(DATA / "mnist")), data).network()
    assert sum(p.numel() for p in network.parameters()) == 15_910  # as in the paper


def test_a_network_trained_by_sgd_is_the_one_of_the_loop_by_hand():
    training = build(QUICK)
    problem, data = training.problem, training.data
    trial = Trial(problem, data.transfer, data.test, CLEAN, None, steps=3, every=1)
    before = torch.get_rng_state()
    trace = trial.run(lambda network: torch.optim.SGD(network.parameters(), lr=0.5), seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    network = problem.network()
    expected = [problem.measure(dict(network.named_parameters()), data.test, None)]
    for _ in range(3):
        batch = problem.sample(data.transfer)
        loss = nn.functional.cross_entropy(network(batch.x), batch.y)
        slopes = torch.autograd.grad(loss, list(network.parameters()))
        with torch.no_grad():
            for p, slope in zip(network.parameters(), slopes, strict=True):
                p.sub_(0.5 * slope)
        expected.append(problem.measure(dict(network.named_parameters()), data.test, None))
    assert trace.steps == (0, 1, 2, 3)
    assert trace.passes == 3
    for found, wanted in zip(trace.rows, expected, strict=True):
        assert found == pytest.approx(wanted, rel=1e-5)


def test_a_network_that_diverges_says_when():
    training = build(QUICK)
    trial = Trial(training.problem, training.data.transfer, training.data.test, CLEAN, None, steps=6, every=2)
    trace = trial.run(lambda network: torch.optim.SGD(network.parameters(), lr=1e30), seed=0)
    assert trace.diverged in {2, 4}
    assert trace.steps[-1] == trace.diverged - 2
    # Weights that are finite, and a loss that is not.
    trace = trial.run(lambda network: torch.optim.SGD(network.parameters(), lr=1e25), seed=0)
    assert trace.diverged in {2, 4}
    assert all(math.isfinite(value) for row in trace.rows for value in row.values())


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    rule = rule_of(QUICK).eval()
    part = Run(tmp_path_factory.mktemp("compared"), {})
    comparison = Comparison(QUICK, steps=4, every=2, seeds=(1, 2))
    told = []
    records = comparison.run(part, {TRANSFER: rule, BILEVEL: rule, NOT: rule}, lambda *numbers: told.append(numbers))
    return part, comparison, rule, records, told


def test_every_method_trains_the_same_networks(compared):
    part, _, _, records, told = compared
    methods = [L2L, TRANSFER, BILEVEL, NOT_ADVERSARIAL, NOT, "Adam (best clean)", "Adam (best adversarial)",
               "Momentum (best clean)", "Momentum (best adversarial)",
               "Adam on adversarial data (best adversarial)"]  # fmt: skip
    assert [(r["method"], r["seed"]) for r in records] == [(name, seed) for name in methods for seed in (1, 2)]
    assert told[-1] == (told[-1][1], told[-1][1])
    # A rule whose last layer is zero moves nothing, so that these five differ in nothing but their costs.
    for seed in (1, 2):
        own = [r for r in records if r["seed"] == seed and r["kind"] == "learned"]
        assert len({(r["clean_loss"], r["adversarial_loss"]) for r in own}) == 1
        first = {r["method"]: r["adversarial_loss"] for r in part.curves() if r["x"] == 0 and r["seed"] == seed}
        assert len(first) == len(methods)
        assert len(set(first.values())) == 1
    passes = {r["method"]: r["passes"] for r in records}
    assert (passes[L2L], passes[TRANSFER], passes[methods[-1]]) == (8, 4, 8)


def test_the_rates_are_the_best_on_validation_images(compared):
    part, comparison, _, records, _ = compared
    (adam, *_) = rivals(build(QUICK).solver.task.judged)
    training = build(QUICK)
    trial = Trial(
        training.problem, training.data.transfer, training.data.validation, CLEAN, training.solver.task.judged.attack,
        comparison.steps, comparison.steps,
    )  # fmt: skip
    ends = {}
    for rate in adam.rates:
        traces = [
            trial.run(lambda net, rate=rate: torch.optim.Adam(net.parameters(), rate), 500_000 + i) for i in (0, 1)
        ]
        ends[rate] = sum(trace.rows[-1]["adversarial_loss"] for trace in traces)
    chosen = {r["rate"] for r in records if r["method"] == "Adam (best adversarial)"}
    assert chosen == {min(ends, key=ends.__getitem__)}
    assert part.results() == records


def test_a_comparison_that_is_done_is_not_done_again(compared):
    part, comparison, rule, records, _ = compared
    kept = [r | {"clean_loss": 0.25} if r["method"] == TRANSFER else r for r in records if r["method"] != NOT]
    (part.path / "results.json").unlink()
    part.append_results(kept)
    again = comparison.run(part, {TRANSFER: rule, BILEVEL: rule, NOT: rule})
    assert {r["clean_loss"] for r in again if r["method"] == TRANSFER} == {0.25}
    assert len([r for r in again if r["method"] == NOT]) == 2


def test_tables_and_figures_hold_what_was_measured(compared):
    part, _, _, records, _ = compared
    table = comparison_table(records, "caption", claim(records))
    assert len(table.rows) == 10
    assert all(len(row) == len(table.header) for row in table.rows)
    mine = [r["adversarial_loss"] for r in records if r["method"] == BILEVEL]
    assert table.rows[2][1].text == f"{sum(mine) / 2:.3f}"
    assert table.learned == {0, 1, 2, 3, 4}
    assert f"“{BILEVEL}”, {sum(mine) / 2:.3f}, is" in table.note
    assert f"{NOT} never saw an adversarial image" in table.note
    alone = comparison_table([r for r in records if r["method"] in {BILEVEL, "Adam (best clean)"}][::2], "caption")
    assert alone.note.startswith("One network, on test images")
    assert NOT not in alone.note
    lines = list(csv.DictReader(table_of(part.curves()).splitlines()))
    assert len(lines) == 10 * 3
    (line,) = [one for one in lines if one["method"] == BILEVEL and one["step"] == "4"]
    assert float(line["adversarial_loss_mean"]) == pytest.approx(sum(mine) / 2)
    assert float(line["adversarial_loss_low"]) == min(mine)
    figure = panels(part.curves())
    assert [axes.get_title() for axes in figure.axes] == ["ε = 0.1"]
    assert len(figure.axes[0].lines) == 10


def test_a_table_of_functions_speaks_of_no_images():
    record = {"method": NOT, "kind": "learned", "seed": 1, "updates": 20, "clean_loss": 2.0, "diverged": None,
              "passes": 20, "seconds": 0.1}  # fmt: skip
    table = comparison_table([record, record | {"seed": 2, "clean_loss": 4.0}], "caption")
    assert table.header == ("method", "loss", "rate", "passes", "seconds")
    assert table.rows[0][1].text == "3.000"
    assert table.note.startswith("Mean over 2 networks with the standard deviation, on functions that no rule")
    assert "image" not in table.note


def test_a_rule_is_named_by_how_it_learned():
    assert method_of(QUICK) == BILEVEL
    assert method_of(replace(QUICK, shown="judged")) == TRANSFER
    assert method_of(replace(QUICK, shown="judged", alpha=1.0)) == NOT


def test_a_rule_without_adversarial_images_has_no_adversarial_rivals():
    assert [rival.name for rival in rivals(CLEAN)] == ["Adam", "Momentum"]
    assert all(rival.by == ("clean_loss",) for rival in rivals(CLEAN))
    assert [one.name for one in learned({NOT: rule_of(QUICK)}, CLEAN)] == [NOT]


def test_the_figures_train_what_the_paper_compares():
    study = Study("figure1", epsilons=(0.1, 0.3))
    assert sorted(study.trainings()) == [
        "rule-bilevel-0.1", "rule-bilevel-0.3", "rule-clean", "rule-paper-0.1", "rule-paper-0.3",
    ]  # fmt: skip
    paper, mine, never = study.rules(0.3).values()
    assert (paper.shown, paper.alpha, paper.eps, paper.weight_input) == ("judged", 0.5, 0.3, 0.0)
    assert (mine.shown, mine.alpha, mine.eps) == ("clean", 0.5, 0.3)
    assert never == study.rules(0.1)[NOT]
    assert never.alpha == 1.0
    for name, config in FIGURES.items():
        assert config.data == ("mnist" if name in {"figure1", "figure2"} else "cifar10")
        assert config.alpha == (0.5 if config.attack == "fgsm" else 0.0)
    assert study.comparison(0.3).steps == 100
    assert Study("figure3", scale="paper").comparison(0.1).steps == 1000
    assert len({part_name(config) for config in study.trainings().values()}) == 5


def test_failures_are_shown_as_failures():
    def records(mine, best, clean=0.9, diverged=None):
        ends = {BILEVEL: mine, "Adam (best clean)": 3.0, "Adam (best adversarial)": best}
        return [
            {"method": name, "seed": seed, "adversarial_loss": loss + shift, "robust": 0.5, "clean_loss": 0.3,
             "clean": clean if name == BILEVEL else 0.9, "diverged": diverged if name == BILEVEL else None}
            for name, loss in ends.items() for seed, shift in ((1, -0.1), (2, 0.1))
        ]  # fmt: skip

    found = {"a": records(1.5, 2.0), "b": records(2.5, 2.0), "c": records(1.5, 2.0, clean=0.1)}
    table = generalisation_table(found | {"d": records(1.5, 2.0, diverged=40), "e": []}, BILEVEL)
    assert [row[-1].text for row in table.rows] == ["better", "worse", "does not learn", "diverged", "does not fit"]
    assert [cell.text for cell in table.rows[0]] == [
        *("a", "1.500 (50.0, 90.0)", "3.000 (50.0, 90.0)", "2.000 (50.0, 90.0)", "better")
    ]
    assert table.rows[3][1].text == "–"
    alone = [record for record in records(1.5, 2.0) if record["method"] == BILEVEL]  # Adam diverged at every rate
    (row,) = generalisation_table({"f": alone}, BILEVEL).rows
    assert [cell.text for cell in row] == ["f", "1.500 (50.0, 90.0)", "–", "–", "better"]


def test_beyond_what_was_learned_on():
    names = [case.name for case in cases(QUICK, (1,))]
    assert {"as learned", "80 units", "3 hidden layers", "tanh", "3 x the updates", "10 x the updates"} <= set(names)
    assert cases(QUICK, (1,))[-1].comparison.steps == 10 * QUICK.horizon
    assert [case.name for case in cases(replace(QUICK, model="convolutional"), (1,))] == names


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Comparison(QUICK, seeds=()), "seeds must be different numbers"),
        (lambda: Comparison(QUICK, tuning_seeds=0), "tuning_seeds must be at least 1"),
        (lambda: Comparison(QUICK, rivals=("Adma",)), "Did you mean Adam"),
        (lambda: Study("figure5"), "There is no figure 'figure5'"),
        (lambda: Study("figure1", windows=0), "windows must be at least 1, got 0"),
        (lambda: build(replace(QUICK, alpha=1.0, eps=2.0)), "eps"),
        (lambda: Study("figure1", epsilons=()), "epsilons must be different radii"),
        (lambda: Trial(QuadraticProblem(), None, None, CLEAN, None, 5, 2), "steps must be a multiple of every"),
    ],
)
def test_what_does_not_fit_is_said(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()
