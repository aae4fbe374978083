"""The examples do what they say."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_define_a_task():
    """What was trained against perturbations withstands them better; the closed form bounds what any attack finds."""
    errors = runpy.run_path(str(EXAMPLES / "define_a_task.py"))["main"]()
    plain = errors.pop("no perturbation")
    assert len(errors) == 4
    assert all(error < 0.97 * plain for error in errors.values())
    assert errors["one sign step"] == pytest.approx(errors["ten sign steps"], rel=0.01)  # one is enough: it is linear


def test_ridge(capsys):
    errors, before, after = runpy.run_path(str(EXAMPLES / "ridge.py"))["main"](steps=60)
    assert errors["Unrolled"] < 1e-2
    assert errors["Implicit, CG"] < 1e-2
    assert errors["Truncated(10)"] == pytest.approx(errors["Implicit, Neumann(10)"], rel=0.2)
    assert after < before
    assert len(capsys.readouterr().out.splitlines()) == len(errors) + 1


def test_learning_rate():
    before, grid, tuned = runpy.run_path(str(EXAMPLES / "learning_rate.py"))["main"](steps=100).values()
    assert tuned < grid < before


def test_cartpole_gail(capsys):
    """At the beginning the policy knows nothing; so few steps can show no more than that all parts fit."""
    main = runpy.run_path(str(EXAMPLES / "cartpole_gail.py"))["main"]
    returns = main(iterations=16, steps=512)
    assert len(returns) == 4  # four environments of 128 steps end their episodes of 500 together
    assert all(10 <= value <= 60 for value in returns)
    assert main(iterations=16, steps=512) == returns
    assert capsys.readouterr().out == ""  # no tenth iteration was among them


def test_meta_optimizer(capsys):
    """So few windows teach nothing; they show that all parts fit, and that all networks begin alike."""
    found = runpy.run_path(str(EXAMPLES / "meta_optimizer.py"))["main"](windows=2, hidden=2)
    assert list(found) == ["the rule", *(f"Adam, {rate}" for rate in ("0.001", "0.003", "0.01", "0.03", "0.1"))]
    assert found["Adam, 0.03"]["clean"] > 0.8 > found["the rule"]["clean"]
    assert len(capsys.readouterr().out.splitlines()) == len(found)


def test_mountaincar_gail(capsys):
    returns = runpy.run_path(str(EXAMPLES / "mountaincar_gail.py"))["main"](iterations=1, steps=64, episodes=2)
    assert list(returns) == ["expert", "random policy", "gail", "l2l"]
    assert -120 < returns["expert"] < -90
    assert returns["random policy"] == -200
    assert len(capsys.readouterr().out.splitlines()) == 4
