"""When a trajectory has arrived, and which of several step sizes was best."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_trajectories import made

from tasks.toy import ToyConfig, best_trajectory, play_at_best_step
from tasks.toy.records import toy_records, toy_table


@pytest.mark.parametrize(
    ("distances", "first"),
    [([1, 0.05, 0.5, 0.1, 0.01], 3), ([1, 0.05, 0.2], None), ([0, 0, 0], 0), ([2, 0.2], 1), ([1, 1], None)],
)
def test_a_trajectory_has_arrived_where_it_stays_near(distances, first):
    one = made([float(d) for d in distances])
    assert one.reached(0.1) == first
    assert replace(one, diverged=True).reached(0.1) is None


def test_the_best_trajectory_took_the_fewest_evaluations():
    slow = made([1.0, 0.0], "slow", costs=[0.0, 5.0])
    fast = made([1.0, 0.5, 0.0], "fast", costs=[0.0, 2.0, 4.0])
    near, far = made([1.0, 0.2], "near"), made([1.0, 2.0], "far")
    away = made([1.0, 0.1], "away", diverged=True)
    assert best_trajectory([far, slow, fast, near], 0.01).name == "fast"
    assert best_trajectory([far, away, near], 0.01).name == "near"
    assert best_trajectory([away, far], 0.01).name == "far"


def test_each_method_plays_with_its_best_step():
    """On xy extragradient's contraction √(1 - h² + h⁴) is best at h = 1/√2, of these 0.7."""
    config = ToyConfig(methods=("extragradient",), step=(0.2, 0.7, 0.9, 3.0), steps=60)
    (method,) = config.make_methods()
    seen = []
    found = play_at_best_step(config, method, every=20, on_point=seen.append)
    assert found.step == 0.7
    assert seen[-1] <= 240
    assert seen[:9] == [20, 40, 60, 80, 100, 120, 140, 160, 180]
    (record,) = toy_records(config, [found], [1.0])
    assert (record["step"], record["step_is_last"]) == (0.7, False)
    alone = replace(config, step=(0.7, 0.2))
    records = toy_records(alone, [found], [1.0])
    assert records[0]["step_is_last"]
    assert "extragradient does best with 0.7, the last of the step sizes" in toy_table(alone, records)
