"""The example does what it says."""

from __future__ import annotations

import math
import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "limit_cycle.py"


def test_the_example_cycles_and_arrives(capsys):
    distances = runpy.run_path(str(EXAMPLE))["main"](steps=200)
    assert distances["simultaneous"] == pytest.approx(math.hypot(1, 0.05) ** 200, rel=1e-12)
    for name in ("leader first", "follower first"):
        assert 1 / math.sqrt(1.025) <= distances[name] <= 1 / math.sqrt(0.975)
    assert distances["learned"] <= 1e-6
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0].strip() for line in printed] == list(distances)
