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
message(lambda: bilevel.Solver(**(good | {"task": Game(nn.Linear(2, 2).parameters())})))
for wrong in (
    {"play": bilevel.LeaderFirst}, {"play": "alternating"}, {"hypergradient": bilevel.Direct},
    {"leader_optimizer": torchopt.adam()}, {"rule_optimizer": torchopt.adam()}, {"rule": bilevel.rules.SignGradient},
    {"leader_optimizer": torch.optim.LBFGS([x])}, {"steps": True},
):
    message(lambda: bilevel.Solver(**(good | wrong)))
message(lambda: bilevel.learned.save(torchopt.sgd(0.1), "rule.safetensors"))
message(lambda: bilevel.learned.RuleOptimizer([x], torchopt.sgd(0.1)))
message(lambda: bilevel.learned.RuleOptimizer([x], bilevel.learned.MLP(1), lr=torch.tensor(1.0)))
"""


def test_each_message_names_what_was_given_and_what_is_allowed():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    steps, rule, task, leader, loss, *others = done.stdout.splitlines()
    assert steps.startswith("ConfigurationError steps, the number of rule updates a step, must be a whole number")
    assert "got 1.5" in steps
    assert "torchopt.adam(...), not torchopt.Adam" in rule
    assert task == "ConfigurationError task must be a bilevel.Task, got str."
    assert "Wrap a plain tensor: nn.Parameter(tensor)" in leader
    assert loss.startswith("TaskError Game.loss must return a scalar tensor, got float")
    for shown, wanted in zip(
        others,
        (
            "The leader is an iterator, which is used up after one look",
            "play must be an object such as bilevel.LeaderFirst(), got the class LeaderFirst",
            "play must be an object such as bilevel.LeaderFirst(), got str",
            "hypergradient must be an object such as bilevel.Direct(), got the class Direct",
            "leader_optimizer must be a torch optimizer over the leader's parameters",
            "rule_optimizer must be an object such as torch.optim.Adam",
            "rule must be an object with init and update",
            "leader_optimizer cannot be LBFGS",
            "must be a whole number from 1, got True",
            "got GradientTransformation, which has no weights to keep",
            "RuleOptimizer got GradientTransformation for its rule",
            "lr of param group 1 is tensor(1.); it must be a finite number of at least 0",
        ),
        strict=True,
    ):
        assert shown.startswith("ConfigurationError")
        assert wanted in shown
