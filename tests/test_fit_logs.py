"""What is logged and shown."""

from __future__ import annotations

import csv
import io
import math
import sys

import pytest
import torch
import training_cases
from rich import progress as rich_progress
from rich.console import Console
from torch import nn

from bilevel.errors import ConfigurationError
from bilevel.learning_rates import learning_rates
from bilevel.loggers import CSVLogger, TensorBoardLogger
from bilevel.progress import Bar, Progress, bar_on_terminal, columns


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_digit_survives(tmp_path):
    logger = CSVLogger(tmp_path / "run" / "metrics.csv")
    logger.start(None)
    logger.log({"epoch": 1, "step": 10, "loss": 0.1 + 0.2, "odd": math.inf})
    assert rows(logger.path) == [{"epoch": "1", "step": "10", "loss": "0.30000000000000004", "odd": "inf"}]


def test_columns_that_come_and_go(tmp_path):
    logger = CSVLogger(tmp_path / "metrics.csv")
    logger.start(None)
    logger.log({"epoch": 1, "step": 10})
    logger.log({"epoch": 2, "step": 20, "robust": 0.5})
    logger.log({"epoch": 3, "step": 30})
    assert logger.path.read_text() == "epoch,step,robust\n1,10,\n2,20,0.5\n3,30,\n"


def test_rows_after_the_checkpoint_are_forgotten(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,loss\n1,10,1.0\n2,20,2.0\n3,30,3.0\n4,4")
    logger = CSVLogger(path)
    logger.start(20)
    logger.log({"epoch": 3, "step": 30, "loss": 3.5})
    assert path.read_text() == "epoch,step,loss\n1,10,1.0\n2,20,2.0\n3,30,3.5\n"


def test_an_old_log_is_not_overwritten(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("mine")
    with pytest.raises(ConfigurationError, match="earlier run"):
        CSVLogger(path).start(None)
    assert path.read_text() == "mine"


def test_a_rate_for_each_group():
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    case = training_cases.perturbed()
    assert set(learning_rates(case.solver)) == {"leader_learning_rate", "rule_learning_rate"}
    case.solver.leader_update.optimizer = torch.optim.SGD(
        [{"params": parameters[:1], "lr": 0.1}, {"params": parameters[1:], "lr": torch.tensor(0.5)}]
    )
    rates = learning_rates(case.solver)
    assert (rates["leader_learning_rate_1"], rates["leader_learning_rate_2"]) == (0.1, 0.5)


def test_tensorboard_shows_what_the_table_holds(tmp_path):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = tmp_path / "tensorboard"
    case = training_cases.duel()
    fitted = case.fit(tmp_path, loggers=[TensorBoardLogger(folder)])
    with pytest.raises(ConfigurationError, match="earlier run"):
        training_cases.duel().fit(tmp_path / "other", loggers=[TensorBoardLogger(folder)])
    # Going on after step 12: what came later is hidden, and written again.
    again = TensorBoardLogger(folder)
    again.start(12)
    again.log({"epoch": 3, "step": 18, "leader_loss": 7.0})
    again.close()
    found = event_accumulator.EventAccumulator(str(folder)).Reload().Scalars("leader_loss")
    expected = [(row["step"], row["leader_loss"]) for row in fitted.rows[:2]] + [(18, 7.0)]
    assert [event.step for event in found] == [step for step, _ in expected]
    assert [event.value for event in found] == pytest.approx([loss for _, loss in expected])


def test_tensorboard_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'bilevel\[vision\]'"):
        TensorBoardLogger(tmp_path)


class Told(Progress):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def start(self, title: str, *, epochs: int, steps: int | None, done: int) -> None:
        self.heard.append(("start", title, epochs, steps, done))

    def advance(self, epoch: int) -> None:
        self.heard.append(("advance", epoch))

    def show(self, numbers) -> None:
        self.heard.append(("show", *sorted(numbers)))

    def stop(self) -> None:
        self.heard.append(("stop",))


def test_a_callback_is_told_everything(tmp_path):
    told = Told()
    training_cases.duel().fit(None, progress=told, title="duel", check_every=6)
    assert told.heard[0] == ("start", "duel", 4, 24, 0)
    assert [what for what in told.heard if what[0] == "advance"] == [("advance", 1 + n // 6) for n in range(24)]
    assert ("show", "follower_loss", "leader_gradient_norm", "leader_loss", "seconds") in told.heard
    assert told.heard[-1] == ("stop",)

    def hook(step: int) -> None:
        if step == 9:
            raise RuntimeError("stop")

    broken, told = Told(), Told()
    with pytest.raises(RuntimeError, match="stop"):
        training_cases.duel(hook).fit(tmp_path, progress=broken, checkpoint_every=4)
    assert broken.heard[-1] == ("stop",)
    training_cases.duel().fit(tmp_path, progress=told, resume=True)
    assert told.heard[0] == ("start", "", 4, 24, 8)
    assert told.heard.count(("advance", 2)) == 4


def test_bars_of_several_trainings():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    with rich_progress.Progress(*columns(), console=console, auto_refresh=False) as outer:
        outer.add_task("of another kind", total=1)
        for title in ("plain", "robust"):
            training_cases.duel().fit(None, progress=Bar(outer), title=title)
        outer.refresh()
        assert [(task.description, task.completed, task.total) for task in outer.tasks[1:]] == [
            ("plain", 24, 24),
            ("robust", 24, 24),
        ]
    shown = screen.getvalue()
    assert "robust" in shown
    assert "epoch 4/4" in shown
    assert "leader " in shown


def test_quiet_where_there_is_no_terminal(capfd):
    training_cases.duel().fit(None, progress=True)
    assert capfd.readouterr() == ("", "")
    assert not isinstance(bar_on_terminal(), Bar)
