"""The bytes that learned optimizers take, counted exactly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

N = 1000
FLOAT = 4
STATE = 2 * 2 * 20  # h and c of two layers of 20, a coordinate


@pytest.fixture(scope="module")
def measured():
    script = Path(__file__).with_name("measured_memory.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, cwd=Path.cwd())
    return json.loads(done.stdout)


def test_an_unroll_takes_the_states_and_little_more(measured):
    five, ten, fifteen = measured["unrolls"]
    assert fifteen - ten == ten - five
    # The state, two planes of the gradient, the update, the iterate and the gradient; and a copy of the weights.
    assert STATE + 5 <= (ten - five) / 5 / N / FLOAT <= STATE + 17


def test_checkpointing_takes_less_than_half(measured):
    assert measured["checkpointed"] < 0.5 * measured["whole"]


@pytest.mark.parametrize("rule", ["lstm", "mlp"])
def test_ten_thousand_steps_of_an_optimizer_hold_what_ten_do(measured, rule):
    # To the byte.
    first, last = measured[rule]
    assert first == last


def test_a_step_makes_no_second_state(measured):
    # The update, what the inputs show and how they are made, packed weights, and buffers for all columns.
    buffers = (22 + 40 + 2 * (80 + 20)) * N * FLOAT
    assert measured["step"] - buffers < 0.5 * STATE * N * FLOAT
