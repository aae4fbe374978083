"""A training that is broken off through no fault of its own says how to go on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_cases import BATCHES, perturbed

import bilevel
from bilevel.errors import OutOfMemoryError

pytestmark = pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step:UserWarning")


def at(step, function):
    """Return a hook that calls ``function`` in the middle of ``step``."""
    return lambda now: function() if now == step else None


def test_out_of_memory_ends_with_a_way_to_go_on(tmp_path):
    case = perturbed(at(BATCHES + 2, lambda: torch.empty(10**15)))
    with pytest.raises(OutOfMemoryError, match=f"Memory ran out after step {BATCHES + 1}") as failed:
        case.fit(tmp_path, resume_hint="bilevel resume here")
    assert "step-00000006.pt. To go on from it: bilevel resume here." in str(failed.value)
    assert "smaller batches" in str(failed.value)
    assert isinstance(failed.value.__cause__, RuntimeError)
    whole, parts = perturbed(), perturbed()
    whole.fit(None)
    parts.fit(tmp_path, resume=True)
    for one, other in zip(whole.solver.task.leader.parameters(), parts.solver.task.leader.parameters(), strict=True):
        assert torch.equal(one, other)


def test_out_of_memory_without_a_folder():
    with pytest.raises(OutOfMemoryError, match="There is no checkpoint, since no folder was given"):
        perturbed(at(1, lambda: torch.empty(10**15))).fit(None)


def test_another_error_of_a_step_stays_as_it_is(tmp_path):
    def fail():
        raise RuntimeError("shapes")

    with pytest.raises(RuntimeError, match=r"^shapes$"):
        perturbed(at(2, fail)).fit(tmp_path)


def test_a_lost_worker_of_the_data_ends_with_a_way_to_go_on(tmp_path):
    """In a process of its own: torch's handler of ended workers raises wherever Python happens to be, later too."""
    script = Path(__file__).with_name("lost_worker.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert "ProcessError: A worker that loads the data was lost" in done.stdout
    assert "To go on from it" in done.stdout


def test_a_worker_that_is_lost_while_it_sends_is_one_too(tmp_path):
    case = perturbed()
    points = list(case.data)

    def batches():
        yield points[0]
        reader, writer = multiprocessing.Pipe(duplex=False)
        writer.close()  # as the end of its process does
        yield reader.recv()

    with pytest.raises(bilevel.ProcessError, match="A worker that loads the data was lost: EOFError"):
        bilevel.fit(case.solver, batches(), epochs=1, folder=tmp_path, progress=False)


def test_a_file_that_the_data_miss_is_no_lost_worker(tmp_path):
    def batches():
        yield open(tmp_path / "nowhere")  # noqa: SIM115, PTH123

    with pytest.raises(FileNotFoundError):
        bilevel.fit(perturbed().solver, batches(), epochs=1, progress=False)


def test_the_warning_of_a_scheduler_stops_like_a_termination(tmp_path):
    case = perturbed(at(3, lambda: os.kill(os.getpid(), signal.SIGUSR1)))
    with pytest.raises(bilevel.Interrupted, match="Stopped by SIGUSR1 after step 3") as stopped:
        case.fit(tmp_path)
    assert stopped.value.signal == signal.SIGUSR1
    assert stopped.value.checkpoint == tmp_path / "checkpoints" / "step-00000003.pt"
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


def test_a_users_own_handler_of_that_signal_stays():
    calls = []
    previous = signal.signal(signal.SIGUSR1, lambda *_: calls.append(1))
    try:
        perturbed(at(3, lambda: os.kill(os.getpid(), signal.SIGUSR1))).fit(None)
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert calls == [1]


def test_what_is_called_after_each_step():
    case = perturbed()
    seen = []
    case.fit(None, after_step=[lambda: seen.append(case.solver.step_count)])
    assert seen == list(range(1, 4 * BATCHES + 1))
