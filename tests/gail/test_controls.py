"""The controls, what is said of curves, and the comparison of all of them."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

import numpy as np
import pytest
from imitation_cases import small

from bilevel.errors import ConfigurationError
from tasks.cli import main
from tasks.commands import reproduce_gail
from tasks.events import Watch
from tasks.gail import tables
from tasks.gail.bystanders import bystanders
from tasks.gail.controls import RATES, compared, rivals
from tasks.gail.demonstrations import save, shipped
from tasks.gail.presets import PRESETS
from tasks.gail.records import goal_of
from tasks.gail.study import Study
from tasks.gail.study_report import choice
from tasks.gail.sweep import part_name, result_of, sweep
from tasks.gail.tables import NOT_TESTING, comparison_table, difference_table, half_width
from tasks.gail.windows import Goal, normalised, stability, trailing_means
from tasks.run import Run, RunError
from tasks.settings import to_dict

NAN = math.nan
GOAL = Goal(450.0, 405.0)


def test_trailing_means_leave_out_iterations_without_an_episode():
    means = trailing_means([1.0, NAN, 3.0, 5.0, NAN, NAN, NAN], window=3)
    assert means[2:6] == [2.0, 4.0, 4.0, 5.0]
    assert all(math.isnan(mean) for mean in (*means[:2], means[6]))


def test_a_curve_that_falls_after_it_reached_its_goal():
    """By hand, with windows of two: 450 is reached in the fourth iteration, and later windows are 475, 245, 5, 240."""
    returns = [10.0, 100.0, 420.0, 480.0, 470.0, 20.0, NAN, 5.0, 475.0]
    found = stability(returns, [100.0 * i for i in range(1, 10)], GOAL, window=2)
    assert (found.reached, found.steps) == (4, 400)
    later = [475.0, 245.0, 20.0, 5.0, 240.0]
    assert found.held == pytest.approx(1 / 5)
    assert found.worst == min(later)
    assert found.mean_after == pytest.approx(statistics.fmean([470, 20, 5, 475]))
    assert (found.best, found.final) == (475.0, 240.0)


def test_a_goal_that_is_not_reached_or_at_the_very_end():
    none = stability([10.0, 20.0, 30.0], [1.0, 2.0, 3.0], GOAL, window=2)
    assert (none.reached, none.held, none.worst, none.mean_after, none.final) == (None, None, None, None, 25.0)
    last = stability([10.0, 450.0, 450.0], [1.0, 2.0, 3.0], GOAL, window=2)
    assert (last.reached, last.held, last.worst, last.mean_after, last.final) == (3, None, None, None, 450.0)
    short = stability([500.0], [1.0], GOAL, window=2)
    assert (short.reached, short.best, short.final) == (None, None, None)


def test_goals_are_a_tenth_below_the_expert_where_none_is_set():
    def goal(**settings):
        return goal_of(small(**settings), shipped("CartPole-v1"))

    assert goal() == goal(horizon=500) == Goal(450.0, 405.0)
    car = goal(env="MountainCar-v0")
    assert (car.reach, car.hold) == pytest.approx((-118, -129.8))
    other = goal(horizon=100)  # of the demonstrated 500
    assert (other.reach, other.hold) == pytest.approx((450, 405))
    assert normalised(-110.0, random=-200.0, expert=-100.0) == 0.9


def test_controls_share_all_settings_but_who_moves_the_discriminator():
    config = small(method="l2l", updater="lstm", updater_rate=0.1, seed=3)
    by_hand, learned, base, frozen = compared(config, 0.03)
    assert learned == config
    assert (by_hand.method, by_hand.updater, by_hand.updater_rate) == ("gail", "adam", 0.03)
    assert (base.method, base.updater, base.updater_step) == ("base", "lstm", config.updater_step)
    assert frozen.method == "frozen"
    for other in (by_hand, base, frozen):
        assert (other.seed, other.steps, other.reward, other.hidden) == (3, config.steps, config.reward, config.hidden)
    tuned = rivals(config, (1, 2, 3))
    assert {one.updater_rate for one in tuned} == set(RATES)
    assert {one.seed for one in tuned} == {5001, 5002}
    assert len({part_name(one) for one in (*compared(config, 0.03), *tuned)}) == 4 + len(tuned)


def record(method, seed=1, **numbers):
    usual = {"return": 480.0, "deviation": 3.0, "reached": 60, "held": 0.9, "worst": 300.0, "mean_after": 460.0,
             "discriminator_norm": 12.0, "best": 500.0, "final": 490.0, "diverged": False}  # fmt: skip
    return {"data": "CartPole-v1", "method": method, "seed": seed, **usual, **numbers}


def played(method, value):
    return {"data": "CartPole-v1", "method": method, "seed": 0, "return": value, "deviation": 1.0, "diverged": False}


RIVALS = [played("expert", 500.0), played("random policy", 20.0)]


@pytest.mark.parametrize(("best", "fresh", "tests"), [(500.0, 10.0, False), (451.0, 500.0, True), (None, 470.0, False)])
def test_a_task_that_a_frozen_discriminator_does_is_labelled(best, fresh, tests):
    """(451 - 20) / (500 - 20) is less than 0.9."""
    records = [*RIVALS, record("frozen", best=best, **{"return": fresh})]
    assert tables.tests_the_discriminator(records) == tests
    table = comparison_table("CartPole-v1", records, GOAL)
    assert (NOT_TESTING in table.caption) != tests


def test_a_row_is_medians_ranges_and_means_over_the_seeds():
    lost = dict.fromkeys(("reached", "held", "worst", "mean_after"))
    records = [
        *RIVALS,
        record("l2l", 1, worst=100.0, final=480.0),
        record("l2l", 2, worst=300.0, final=500.0),
        record("l2l", 3, final=100.0, diverged=True, **lost),
    ]
    table = comparison_table("CartPole-v1", records, GOAL)
    row = dict(zip(table.header, table.rows[2], strict=True))
    assert row["method"].notes == ("1 of 3 diverged",)
    assert row["reaches 450"].text == "2/3"
    assert (row["worst window"].text, row["worst window"].notes) == ("200.0", ("100.0 to 300.0",))
    # t of two degrees of freedom is 4.3027.
    spread = 4.3027 * statistics.stdev([480, 500, 100]) / math.sqrt(3)
    assert (row["last window"].text, row["last window"].error) == ("360.0", f"± {spread:.1f}")
    expert = dict(zip(table.header, table.rows[0], strict=True))
    assert (expert["fresh episodes"].text, expert["reaches 450"].text) == ("500.0", "–")


def test_differences_are_taken_seed_by_seed():
    rest = [record("gail", seed, mean_after=400.0 + seed) for seed in (1, 2, 3)]
    mine = [record("l2l", seed, mean_after=450.0 + seed + shift) for seed, shift in ((1, 0.0), (2, 1.0), (4, 0.0))]
    table = difference_table("CartPole-v1", [*rest, *mine], "l2l", ["gail", "base"])
    compared_with, difference, seeds, verdict = table.rows[0]
    assert compared_with.text == "l2l against gail"
    assert (seeds.text, difference.text, verdict.text) == ("2 of 4", "50.5", "above")
    assert difference.error == f"± {half_width([50.0, 51.0]):.1f}"
    assert [cell.text for cell in table.rows[1][1:]] == ["–", "0 of 3", "–"]
    tie = difference_table("CartPole-v1", [*rest, *(record("l2l", s, mean_after=400.0 + 2 * s) for s in (1, 2, 3))],
                           "l2l", ["gail"])  # fmt: skip
    assert tie.rows[0][3].text == "a tie"


def test_the_choice_of_the_rate_is_told_with_all_that_were_tried():
    assert choice(0.01) == (
        "Adam's rate, 0.01, is the best of 0.001, 0.003, 0.01, 0.03, 0.1 on other seeds (the highest mean return over "
        "the second half of their trainings)."
    )
    assert choice(0.1).endswith(" It is the last that was tried.")
    assert choice(0.001).endswith(" It is the last that was tried.")


def test_half_a_width_of_an_interval():
    assert half_width([1.0]) is None
    assert half_width([1.0, 3.0]) == pytest.approx(12.7062 * math.sqrt(2) / math.sqrt(2), rel=1e-4)


class Heard(Watch):
    def __init__(self):
        self.events = []

    def event(self, part, what, numbers):
        self.events.append((part, what))


def test_a_sweep_does_what_is_missing_and_keeps_what_diverged(tmp_path):
    run = Run.create(tmp_path / "run", {"task": "reproduce"})
    good = small(iterations=2)
    bad = small(method="l2l", updater="paper-literal", updater_bound=7.0, iterations=50)
    first = Heard()
    sweep(run, [good, bad], workers=1, watch=first)
    assert result_of(run, good)["diverged"] is False
    failed = result_of(run, bad)
    assert failed["diverged"] is True
    assert failed["return"] is None
    assert 1 < failed["discriminator_norm"] <= 7
    log = run.part(part_name(good)) / "metrics.csv"
    before = log.stat().st_mtime_ns
    second = Heard()
    sweep(run, [good, bad], workers=1, watch=second)
    assert log.stat().st_mtime_ns == before
    assert second.events == [(part_name(good), "end"), (part_name(bad), "end")]
    assert {what for _, what in first.events} >= {"begin", "step", "end"}


def test_a_study_says_what_is_wrong_with_it():
    for settings, words in (
        ({"environments": ("cartpol",)}, "Did you mean cartpole"),
        ({"environments": ()}, "at least one environment"),
        ({"seeds": (1, 1)}, "different numbers from 0 to 4999"),
        ({"seeds": (5000,)}, "different numbers"),
        ({"updater": "adam"}, "written by hand"),
        ({"scale": "papr"}, "Did you mean paper"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            Study(**settings)
    paper = Study(scale="paper").base("mountaincar")
    assert (paper.steps, paper.iterations, paper.policy_hidden) == (5000, 300, (64, 32))


def test_a_study_takes_the_settings_of_a_run(tmp_path, monkeypatch):
    own = small(method="l2l", updater="lstm", updater_rate=0.1, updater_hidden=(4,), demonstrations=None)
    run = Run.create(tmp_path / "own", {"task": "gail", "command": "bilevel train gail", **to_dict(own)})
    name = str(run.path)
    assert Study((name,)).base(name) == own
    assert Study((name,), iterations=7).base(name) == replace(own, iterations=7)
    other = Study((name,), updater="low-rank").base(name)
    assert other == replace(own, updater="low-rank", updater_rate=None, updater_hidden=None)
    base = Run.create(tmp_path / "base", {"task": "gail", **to_dict(small(method="base", updater="lstm"))})
    assert Study((str(base.path),)).base(str(base.path)) == small(method="l2l", updater="lstm")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cartpole").mkdir()
    assert Study(("cartpole",)).base("cartpole").steps == PRESETS["cartpole"].steps  # a preset, whatever lies here
    by_hand = Run.create(tmp_path / "hand", {"task": "gail", **to_dict(small(method="gail", updater_rate=0.3))})
    learned = Study((str(by_hand.path),)).base(str(by_hand.path))
    assert learned == small(method="l2l", updater="coordinate-wise")
    with pytest.raises(ConfigurationError, match="CartPole-v1 is among the environments 2 times"):
        Study((name, "cartpole"))
    with pytest.raises(ConfigurationError, match="The scale is that of a preset"):
        Study((name,), scale="paper")
    foreign = Run.create(tmp_path / "foreign", {"task": "dro"})
    with pytest.raises(RunError, match="is a run of dro; name one of `bilevel train gail`"):
        Study((str(foreign.path),))


def test_where_nobody_knows_what_the_expert_earned_there_is_no_goal(tmp_path):
    shown = shipped("CartPole-v1", None)
    save(replace(shown, returns=np.full_like(shown.returns, np.nan)), tmp_path / "silent")
    config = small(demonstrations=str(tmp_path / "silent.npz"), evaluation_episodes=2, horizon=None)
    (random,) = bystanders(config)
    assert random["method"] == "random policy"
    trained = {"data": "CartPole-v1", "method": "frozen", "seed": 1, "reached": None, "return": 9.0, "diverged": False}
    table = comparison_table("CartPole-v1", [random, trained], None)
    assert table.caption == "CartPole-v1"
    assert table.header[2] == "reaches its goal"
    assert [row[2].text for row in table.rows] == ["–", "0/1"]
    assert "What the expert earned is not known" in table.note


def test_the_comparison_is_made_by_one_command_and_gone_on_with(tmp_path, capsys, monkeypatch):
    """The smallest that there is: one environment, one seed, one rate, two iterations of 64 steps."""
    monkeypatch.setattr("tasks.gail.controls.RATES", (0.01,))
    monkeypatch.setattr("tasks.gail.study.RATES", (0.01,))
    monkeypatch.setitem(PRESETS, "cartpole-fixed", small(horizon=500))
    words = ["--environments", "cartpole-fixed", "--iterations", "2", "--seeds", "1", "--out", str(tmp_path / "run")]
    assert main(["reproduce", "gail", *words, "--workers", "1"]) == 0
    run, shown = Run.open(tmp_path / "run"), capsys.readouterr().out
    methods = {one["method"]: one for one in run.results()}
    assert list(methods) == [
        "expert", "random policy", "gail adam", "l2l coordinate-wise", "base of coordinate-wise", "frozen",
    ]  # fmt: skip
    assert methods["expert"]["return"] == shipped("CartPole-v1", 500).returns.mean()
    assert "CartPole-v1, 500 steps" in shown
    assert (run.figures / "returns-cartpole-fixed.png").is_file()
    assert "what the learned part adds" in (run.path / "report.md").read_text()
    before = run.results()
    assert main(["resume", str(run.path)]) == 0
    assert run.results() == before


def test_a_study_asks_for_the_memory_of_its_rule_before_anything_is_trained(monkeypatch):
    """Else the rates of the hand-written method would be chosen first, for hours."""
    study = {"environments": ["cartpole"], "seeds": [1], "updater": "paper", "scale": "cpu", "iterations": None}
    monkeypatch.setattr("bilevel.memory.available_memory", lambda: 2 * 2**30)
    with pytest.raises(ConfigurationError, match=r"341,086,787 parameters .* needs 5\.1 GiB of memory, and 2\.0 GiB"):
        reproduce_gail.Imitation().check(study)
    reproduce_gail.Imitation().check({**study, "updater": "paper-factored"})


def test_the_command_refuses_a_study_before_a_folder_is_made(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "gail", "--environments", "cartpol"]) == 2
    assert "Did you mean cartpole" in capsys.readouterr().err
    assert main(["reproduce", "gial"]) == 2
    assert "Did you mean gail" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_curves_are_averages_of_groups_of_iterations():
    from tasks.gail.figures import MOST_POINTS, Curve, return_plot
    from tasks.report.drawing.style import styles

    rounds = 2 * MOST_POINTS
    steps = tuple(float(i) for i in range(1, rounds + 1))
    low, high = (Curve(steps, tuple(level + np.zeros(rounds))) for level in (100.0, 300.0))
    gaps = Curve(steps, tuple(NAN if i % 2 else 200.0 for i in range(rounds)))
    figure = return_plot({"a": [low, high], "b": [gaps]}, styles([("a", "learned"), ("b", "hand-written")]), {"x": 5.0})
    axes = figure.axes[0]
    _, a, b = axes.lines
    assert len(a.get_xdata()) == MOST_POINTS
    assert a.get_xdata()[0] == 1.5
    assert set(a.get_ydata()) == {200.0}
    assert set(b.get_ydata()) == {200.0}
    (shade,) = axes.collections
    heights = shade.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (100.0, 300.0)
