"""Ctrl-C and SIGTERM: after the step, with a checkpoint; a second one at once."""

from __future__ import annotations

import os
import signal
import threading

import pytest
import training_cases
from training_cases import same

from bilevel.checkpoint import read
from bilevel.interrupt import Interrupted, Interrupts


@pytest.fixture(autouse=True)
def usual_handlers():
    """Have the handlers of a program in the foreground, however the tests were started."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def sending(number: int, step: int, times: int = 1) -> training_cases.Hook:
    sent = []

    def hook(now: int) -> None:
        if now == step and not sent:
            sent.append(now)
            for _ in range(times):
                os.kill(os.getpid(), number)

    return hook


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [8, 12])
def test_the_step_is_finished_and_resumed(number, step, tmp_path, capfd):
    case = training_cases.duel(sending(number, step))
    with pytest.raises(Interrupted) as caught:
        case.fit(tmp_path, resume_hint="bilevel resume RUN")
    stopped = caught.value
    assert (stopped.step, stopped.signal, case.solver.step_count) == (step, number, step)
    assert read(stopped.checkpoint)["step"] == step
    for part in (f"after step {step}", "1 of 4 epochs", str(stopped.checkpoint), "To go on: bilevel resume RUN"):
        assert part in str(stopped)
    assert "Stopping after this step" in capfd.readouterr().err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    unbroken = training_cases.duel()
    unbroken.fit(tmp_path / "unbroken")
    resumed = training_cases.duel()
    resumed.fit(tmp_path, resume=True)
    assert same(resumed.solver.state_dict(), unbroken.solver.state_dict())
    assert training_cases.logged(tmp_path) == training_cases.logged(tmp_path / "unbroken")


def test_an_evaluation_is_broken_off_and_done_again(tmp_path):
    case = training_cases.perturbed()
    leader = case.solver.task.leader
    passed = []

    def evaluate() -> dict[str, float]:
        leader.eval()
        passed.append("begun")
        if len(passed) == 3:  # in the second epoch
            os.kill(os.getpid(), signal.SIGINT)
            passed.append("never")
        passed.append("done")
        return {"score": 1.0}

    with pytest.raises(Interrupted) as caught:
        case.fit(tmp_path, evaluate=evaluate)
    assert passed == ["begun", "done", "begun"]
    assert caught.value.step == 12
    assert leader.training

    resumed = training_cases.perturbed()
    resumed.fit(tmp_path, resume=True, evaluate=lambda: {"score": 1.0})
    unbroken = training_cases.perturbed()
    unbroken.fit(tmp_path / "unbroken", evaluate=lambda: {"score": 1.0})
    assert same(resumed.solver.state_dict(), unbroken.solver.state_dict())
    assert training_cases.logged(tmp_path) == training_cases.logged(tmp_path / "unbroken")


def test_a_second_one_stops_at_once(tmp_path):
    case = training_cases.duel(sending(signal.SIGINT, 8, times=2))
    with pytest.raises(KeyboardInterrupt) as caught:
        case.fit(tmp_path)
    assert not isinstance(caught.value, Interrupted)
    assert case.solver.step_count == 7
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_a_folder():
    with pytest.raises(Interrupted, match=r"after step 3 .*Nothing was saved") as caught:
        training_cases.duel(sending(signal.SIGINT, 3)).fit(None)
    assert caught.value.checkpoint is None


def test_another_thread_leaves_signals_alone(tmp_path):
    seen = []
    case = training_cases.duel(lambda step: seen.append(signal.getsignal(signal.SIGINT)))
    thread = threading.Thread(target=case.fit, args=(tmp_path,))
    thread.start()
    thread.join()
    assert case.solver.step_count == training_cases.STEPS
    assert set(seen) == {signal.default_int_handler}


def test_an_ignored_signal_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
    assert interrupts.requested is None


def test_handlers_are_handed_back_after_an_error():
    case = training_cases.duel(lambda step: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        case.fit(None)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_worker_of_the_data_ignores_the_terminals_ctrl_c():
    with Interrupts() as interrupts:
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGINT)
            os._exit(0 if interrupts.requested is None else 1)
        assert os.waitpid(child, 0)[1] == 0
