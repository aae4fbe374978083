"""Arguments of a wrong type: the messages that a user sees, who does not run with executed annotations."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import torch, torchopt, bilevel
from torch import nn

class Game(bilevel.MinimaxTask):
    answer = 1.0
    def start(self, batch):
        return torch.zeros(2)
    def loss(self, batch, z):
        return self.answer

x = nn.Parameter(torch.ones(2))
good = {"task": Game(x), "rule": torchopt.sgd(0.1), "leader_optimizer": torch.optim.SGD([x], lr=1.0)}

def message(make):
    try:
        make()
    except bilevel.BilevelError as error:
        print(type(error).__name__, error)
    else:
        print("nothing was raised")

message(lambda: bilevel.Solver(**(good | {"steps": 1.5})))
message(lambda: bilevel.Solver(**(good | {"rule": torchopt.Adam})))
message(lambda: bilevel.Solver(**(good | {"task": "game"})))
message(lambda: bilevel.Solver(**(good | {"task": Game(torch.ones(2))})))
message(lambda: bilevel.Solver(**good).step(None))
"""


def test_each_message_names_what_was_given_and_what_is_allowed():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    steps, rule, task, leader, loss = done.stdout.splitlines()
    assert steps.startswith("ConfigurationError steps is the number of rule updates")
    assert "got 1.5" in steps
    assert "torchopt.adam(...), not torchopt.Adam" in rule
    assert task == "ConfigurationError task must be a bilevel.Task, got str."
    assert "Wrap a plain tensor: nn.Parameter(tensor)" in leader
    assert loss.startswith("TaskError Game.loss must return a scalar tensor, got float")
