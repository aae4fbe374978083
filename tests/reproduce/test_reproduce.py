"""The papers' tables made again: what is trained, what stands beside what, and going on after a stop."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tasks.cli import main
from tasks.events import Watch
from tasks.reproduce import black_box, curves, frontier, step_times
from tasks.reproduce.black_box import BlackBox
from tasks.reproduce.comparison import accuracy_table
from tasks.reproduce.curves import Curves
from tasks.reproduce.defences import DEFENCES, trainings
from tasks.reproduce.epoch_time import EpochTime
from tasks.reproduce.experiment import Request
from tasks.reproduce.experiments import EXPERIMENTS
from tasks.reproduce.published import BLACKBOX, SLIM, TABLE2, TABLE3, TABLE4, Published
from tasks.reproduce.scale import SCALES, Scale
from tasks.reproduce.white_box import WhiteBox
from tasks.run import Run
from tasks.vision.assess import journal_of
from tasks.vision.build import build
from tasks.vision.presets import AIT_PAPER, PAPER
from tasks.vision.sweep import part_name

SMALL = {
    "model": "small", "width": 4, "epochs": 1, "attacker": "small", "train_images": 250, "validation_images": 40,
    "test_images": 40, "attacker_width": 4, "threads": 1,
}  # fmt: skip
TINY = Scale(
    words="digits, one epoch",
    base=replace(PAPER, **SMALL),
    interpolation=replace(AIT_PAPER, **SMALL),
    slim={"attacker": "slim"},
    attacks={"PGM-20": "PGM-2", "own": "own"},
    minutes=0.01,
)
REQUEST = Request(TINY, "digits", None, seeds=(1, 2), workers=1)


class Heard(Watch):
    def __init__(self):
        self.ended = []

    def event(self, part, what, numbers):
        if what == "end":
            self.ended.append(part)


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


def test_the_trainings_are_the_scale_s_settings_but_for_what_names_the_row():
    made = trainings(PAPER, ("Plain", "2-Step L2L"), (3, 4))
    assert [c.seed for c in made["Plain"]] == [3, 4]
    for row, configs in made.items():
        assert configs[0] == replace(PAPER, seed=3, **DEFENCES[row])


def test_the_papers_scale_is_the_papers_settings():
    """Jiang et al. 2021, section 4."""
    base = SCALES["paper"].base
    assert (base.model, base.depth, base.width, base.epochs, base.batch_size) == ("wide-resnet", 34, 10, 100, 128)
    assert (base.eps, base.lr, base.momentum, base.weight_decay) == (0.031, 0.1, 0.9, 2e-4)
    assert (base.milestones, base.decay, base.pgm_steps, base.pgm_step * base.eps) == ((30, 60, 90), 0.1, 10, 0.007)
    assert SCALES["paper"].attacks["Random"] == "Random-100000"
    assert [next(iter(scale.attacks)) for scale in SCALES.values()] == ["AutoAttack", "AutoAttack"]


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


def test_the_slim_table_has_the_slim_attacker():
    request = replace(REQUEST, scale=SCALES["paper"], data="cifar10", seeds=(1,))
    assert {c.attacker for c in EXPERIMENTS["slim"].configs(request)} == {"slim"}
    assert {c.attacker for c in EXPERIMENTS["table2"].configs(request)} == {"wide"}


def test_epoch_times_are_the_steps_times_their_number(tmp_path):
    run = Run.create(tmp_path / "run", {})
    experiment, request = EpochTime("Times"), replace(REQUEST, seeds=(1,))
    assert experiment.configs(request) == []
    experiment.work(run, request, Heard())
    records = {r["method"]: r for r in run.results()}
    assert set(records) == set(TABLE3.rows)
    assert {r["steps_an_epoch"] for r in records.values()} == {2}  # 256 images, 128 a step
    assert all(r["lower_quartile"] <= r["seconds_an_epoch"] <= r["upper_quartile"] for r in records.values())
    (table,) = experiment.tables(run, replace(request, data="cifar10"))
    assert table.rows[0][2].text == "1.00 / 1.00"
    assert table.rows[1][2].text.endswith("/ 12.31")  # 1310.8 / 106.5


@pytest.mark.parametrize(("precision", "dtypes"), [("32-true", {torch.float32}), ("bf16-mixed", {torch.bfloat16})])
def test_steps_are_timed_in_the_precision_of_the_trainings(precision, dtypes):
    request = replace(REQUEST, precision=precision, seeds=(1,))
    assert {c.precision for c in EXPERIMENTS["masking"].configs(request)} == {precision}
    made, seen = build(request.base), set()
    linear = next(m for m in made.model.modules() if isinstance(m, torch.nn.Linear))
    linear.register_forward_hook(lambda _module, _inputs, output: seen.add(output.dtype))
    step_times.epoch_times({"grad-l2l": made}, request)
    assert seen == dtypes


ONE = replace(REQUEST, seeds=(1,))
AS_PRINTED = replace(ONE, data="cifar10")


def test_black_box_shows_every_target_the_images_of_every_surrogate(tmp_path):
    run, experiment = Run.create(tmp_path / "run", {}), EXPERIMENTS["blackbox"]
    assert {c.seed for c in experiment.configs(ONE)} == {1, 1001}
    experiment.work(run, ONE, Heard())
    (table,) = experiment.tables(run, AS_PRINTED)
    assert table.header[:3] == ("defence", "clean", "Plain: FGSM")
    assert len(table.rows) == 6
    measured = {r["attack"]: r for r in run.results() if r["method"] == "grad-l2l" and r.get("looks") == "surrogate"}
    assert set(measured) == {f"{a} from {s}" for a in ("FGSM", "PGM-10") for s in ("Plain", "FGSM Net", "PGM Net")}
    shown = table.rows[4][table.header.index("PGM Net: PGM-10")].text
    assert shown == f"{100 * measured['PGM-10 from PGM Net']['robust']:.1f} / 69.95"


def test_black_box_makes_its_images_once_and_is_gone_on_with(tmp_path, monkeypatch):
    run, experiment = Run.create(tmp_path / "run", {}), BlackBox("Transfer")
    monkeypatch.setattr(black_box, "sweep", lambda *_, **__: None)
    monkeypatch.setattr(black_box, "trained", lambda _run, config: build(config))
    matrix = black_box.transfer_matrix

    def stop(*arguments, **settings):
        matrix(*arguments, **settings)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(black_box, "transfer_matrix", stop)
        with pytest.raises(KeyboardInterrupt):
            experiment.work(run, ONE, Heard())
    assert journal_of(run).path.exists()
    experiment.work(run, ONE, Heard())
    assert not journal_of(run).path.exists()
    assert len(run.results()) == 6 * 6
    monkeypatch.setattr(black_box, "transfer_matrix", stop)
    experiment.work(run, ONE, Heard())


def test_learned_targets_of_black_box_attacks_are_slim_where_the_tables_say_so():
    """Captions of the preprint's Tables 4 to 6."""
    for data, attacker in (("cifar10", "slim"), ("cifar100", "slim"), ("svhn", "wide")):
        request = replace(REQUEST, scale=SCALES["paper"], data=data)
        rows = EXPERIMENTS["blackbox"].configs(request)
        assert {c.attacker for c in rows if c.method.endswith("l2l")} == {attacker}
        # The others are those of Table 2, which need not be trained again.
        others = [c for c in rows if not c.method.endswith("l2l") and c.seed == 1]
        assert data == "svhn" or set(others) < set(EXPERIMENTS["table2"].configs(request))


def test_no_training_is_made_twice_where_a_target_is_a_surrogate():
    names = [part_name(c) for c in EXPERIMENTS["blackbox"].configs(replace(ONE, seeds=(1, 1001), data="cifar10"))]
    assert len(names) == len(set(names)) == 6 + 6 + 3


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


def test_curves_are_measured_once_trained_and_the_gain_is_over_pgm_net(tmp_path):
    run, experiment = Run.create(tmp_path / "run", {}), EXPERIMENTS["curves"]
    known = {"task": "dro", "data": "digits", "split": "test", "n": 10, "attack": "PGM-10"}
    points = {"pgm-10": (0.5, 0.7), "grad-l2l": (0.8, 0.8), "2-step-l2l": (0.4, 0.4)}
    for method, values in points.items():
        run.append_curves(
            known | {"method": method, "seed": seed, "curve": curve, "x": 2.0, "robust": value}
            for curve in ("eps", "iterations")
            for seed, value in enumerate(values)
        )
    for table in experiment.tables(run, ONE):
        assert table.header == ("defence", "2")
        assert [(row[1].text, row[1].error) for row in table.rows] == [
            ("60.0", ""), ("80.0", "(+20.0)"), ("40.0", "(-20.0)"),
        ]  # fmt: skip


def test_curves_that_are_measured_are_not_measured_again(tmp_path, monkeypatch):
    run, experiment = Run.create(tmp_path / "run", {}), Curves("Curves")
    made = []
    monkeypatch.setattr(curves, "sweep", lambda *_, **__: None)
    monkeypatch.setattr(curves, "trained", lambda _run, config: made.append(config) or build(config))
    experiment.work(run, ONE, Heard())
    assert len(made) == 3
    assert not journal_of(run).path.exists()
    points = run.curves()
    experiment.work(run, ONE, Heard())
    assert len(made) == 3
    experiment.work(run, replace(ONE, seeds=(1, 2)), Heard())
    assert [c.seed for c in made[3:]] == [2, 2, 2]
    assert all(point in run.curves() for point in points)


def test_masking_lists_every_item_of_each_defence(tmp_path):
    run, experiment = Run.create(tmp_path / "run", {}), EXPERIMENTS["masking"]
    item = {"task": "dro", "data": "digits", "seed": 1, "split": "test", "finding": "athalye-1", "item": "Iterative"}
    run.append_results(
        [item | {"method": "pgm-10", "verdict": "passed"}, item | {"method": "ait", "verdict": "warning"}]
    )
    (table,) = experiment.tables(run, ONE)
    assert [cell.text for cell in table.rows[0]] == ["Iterative", "passed", "–", "–", "warning", "–"]
    assert [cell.best for cell in table.rows[0]] == [False, False, False, False, True, False]


def test_what_is_unknown_is_named_before_a_folder_is_made(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for words, message in (
        (["tabel2"], "Did you mean table2?"),
        (["table2", "--scale", "gpu"], "There is no scale 'gpu'. Did you mean cpu? Known are: cpu, paper"),
        (["table4", "--data", "svhn"], "There is no table4 for the data set 'svhn'"),
        (["table2", "--seeds", "1", "1"], "seeds must be different"),
        (["table2", "--workers", "0"], "workers must be at least 1"),
        (["table2", "--precision", "bf16"], "There is no precision 'bf16'. Known are: 32-true, bf16-mixed"),
    ):
        assert main(["reproduce", *words]) == 2
        assert message in capsys.readouterr().err
    assert main(["reproduce", "table2", "--trained", "nowhere"]) == 1
    assert "nowhere does not exist; name the folder of a run" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_frontier_s_seconds_are_those_of_steps_that_took_turns(tmp_path, monkeypatch):
    run, experiment = Run.create(tmp_path / "run", {}), EXPERIMENTS["frontier"]
    monkeypatch.setattr(frontier, "BY_HAND", ({"method": "fgsm"}, {"method": "pgm"}))
    monkeypatch.setattr(frontier, "LEARNED", ())

    def swept(run, configs, *_, **__):
        known = {"task": "dro", "data": "digits", "split": "test", "attack": "PGM-20", "robust": 0.5, "clean": 0.9}
        run.append_results(known | {"method": c.label, "seed": c.seed, "seconds": 1e6 * c.seed} for c in configs)

    monkeypatch.setattr(frontier, "sweep", swept)
    for _ in range(2):  # the second call collects the sweep's results once more, and times nothing
        experiment.work(run, REQUEST, Heard())
        times = {r["method"]: r["seconds_an_epoch"] for r in run.results() if "seconds_an_epoch" in r}
        seconds = {(r["method"], r["seed"]): r["seconds"] for r in run.results() if "seconds" in r}
        assert seconds == {(m, s): REQUEST.base.epochs * times[m] for m in ("fgsm", "pgm-10") for s in (1, 2)}
        monkeypatch.setattr(step_times, "epoch_times", None)
    assert times["pgm-10"] > times["fgsm"]


def test_the_frontier_has_every_attacker_once_and_says_how_far_each_learned_one_lies_above_it(tmp_path):
    run, experiment = Run.create(tmp_path / "run", {}), EXPERIMENTS["frontier"]
    names = [part_name(config) for config in experiment.configs(REQUEST)]
    assert len(set(names)) == len(names) == 2 * 15
    assert {c.eps for c in EXPERIMENTS["frontier-large"].configs(ONE)} == {16 / 255}
    known = {"task": "dro", "data": "digits", "split": "test", "n": 10_000, "clean": 0.9, "seed": 1, "eps": 0.031,
             "norm": "linf", "attack": "AutoAttack"}  # fmt: skip
    points = {"fgsm-rs": (0.2, 1.0), "pgm-10": (0.3, 4.0), "grad-l2l": (0.29, 2.0)}
    run.append_results(known | {"method": m, "robust": robust, "seconds": s} for m, (robust, s) in points.items())
    accuracies, margins = experiment.tables(run, ONE)
    assert [row[0].text for row in accuracies.rows] == ["pgm-10", "grad-l2l", "fgsm-rs"]
    ((name, margin, verdict, *_),) = margins.rows
    assert (name.text, verdict.text) == ("grad-l2l", "above")
    assert 3 < float(margin.text.removeprefix("+")) < 6  # the frontier there is between 20 and 30 %
