"""Estimates, the frontier and its verdict: by hand."""

from __future__ import annotations

import math

import pytest
from report_cases import POINTS

from tasks.report.estimate import Estimate
from tasks.report.frontier import Frontier, Point, compare


def test_an_estimate_of_several_seeds_by_hand():
    estimate = Estimate((0.5, 0.6, 0.8), (100, 50, 200))
    assert estimate.mean == pytest.approx(1.9 / 3, rel=1e-15)
    assert estimate.worst == 0.5
    # Deviations from 19/30 are -4/30, -1/30 and 5/30: squares 16 + 1 + 25 = 42, over 900, over 2.
    assert estimate.spread == pytest.approx(math.sqrt(42 / 1800), rel=1e-14)
    assert estimate.binomial == pytest.approx(math.sqrt(0.25 / 100 + 0.24 / 50 + 0.16 / 200) / 3, rel=1e-14)
    assert estimate.stderr == pytest.approx(math.sqrt(42 / 1800) / math.sqrt(3), rel=1e-14)


def test_the_standard_error_of_one_seed_is_binomial_and_of_agreeing_seeds_no_less():
    assert Estimate((0.8,), (100,)).stderr == pytest.approx(0.04, rel=1e-14)
    assert Estimate((0.8,), (100,)).spread is None
    assert Estimate((0.8, 0.8), (100, 100)).stderr == pytest.approx(0.04 / math.sqrt(2), rel=1e-14)
    assert Estimate((0.8,), (None,)).stderr is None


def test_the_frontier_by_hand():
    frontier = Frontier.of(reversed(POINTS))
    assert [corner.name for corner in frontier.corners] == ["a", "b", "d"]
    assert frontier.at(0.5) is None
    assert frontier.at(1.0) == (0.1, 0.03)
    assert frontier.at(6.0) == frontier.at(100.0) == (0.7, 0.03)
    height, error = frontier.at(3.0)
    assert height == pytest.approx(0.75 * 0.5 + 0.25 * 0.7, rel=1e-15)
    assert error == pytest.approx(math.hypot(0.75 * 0.04, 0.25 * 0.03), rel=1e-15)


def test_frontiers_of_few_points():
    assert Frontier.of([]).corners == ()
    assert Frontier.of([]).at(1.0) is None
    twins = [Point("low", 1.0, 0.2), Point("high", 1.0, 0.3)]
    assert [corner.name for corner in Frontier.of(twins).corners] == ["high"]
    # Three in a line: the middle one is no corner, and changes nothing.
    line = Frontier.of([Point("a", 0.0, 0.0), Point("b", 1.0, 0.25), Point("c", 2.0, 0.5)])
    assert line.at(1.0)[0] == 0.25


def test_the_verdict_by_hand():
    learned = [Point("l", 2.0, 0.62, 0.03), Point("m", 3.0, 0.5, 0.0), Point("fast", 0.5, 0.4, 0.01)]
    first, second = compare(learned, Frontier.of(POINTS))
    assert (first.name, second.name) == ("l", "m")
    assert first.margin == pytest.approx(0.12, rel=1e-12)
    assert first.stderr == pytest.approx(0.05, rel=1e-14)  # hypot(0.03, 0.04)
    assert first.clear
    assert first.words == "above"
    assert second.margin == pytest.approx(0.5 - 0.55, rel=1e-12)
    assert not compare([Point("l", 2.0, 0.59, 0.03)], Frontier.of(POINTS))[0].clear  # 0.09 is under 2 · 0.05
    assert not compare([Point("l", 2.0, 0.99, None)], Frontier.of(POINTS))[0].clear
