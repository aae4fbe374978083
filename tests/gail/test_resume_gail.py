"""A training that was killed goes on to the same bits."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from imitation_cases import assert_same, metrics, small

from bilevel import CheckpointError
from bilevel.interrupt import Interrupted
from bilevel.progress import Quiet
from tasks.gail.learner import Learner
from tasks.gail.train import restore, train
from tasks.settings import to_dict

HERE = Path(__file__).parent
CASES = {
    "a learned updater": {"method": "l2l", "evaluate_every": 2},
    "fixed horizon, halves, two moves": {"method": "l2l", "horizon": 500, "fresh": True, "discriminator_steps": 2},
    "lstm, gymnasium, normalised": {
        "method": "l2l",
        "updater": "lstm",
        "vectorised": False,
        "normalise": True,
        "standardise": True,
    },
    "adam, ppo, some of the expert's pairs": {"algorithm": "ppo", "expert_batch": 20, "gradient_penalty": 1.0},
    "continuous actions": {"env": "Pendulum-v1", "algorithm": "a2c", "updater": "adamax"},
}


@pytest.fixture(scope="module")
def pendulum(tmp_path_factory):
    """Return the name of demonstrations with continuous actions."""
    import numpy as np

    from tasks.gail.demonstrations import Demonstrations, save

    draw, path = np.random.default_rng(0), tmp_path_factory.mktemp("demonstrations") / "pendulum"
    seen, done = draw.normal(size=(60, 3)).astype(np.float32), draw.uniform(-2, 2, size=(60, 1)).astype(np.float32)
    save(Demonstrations("Pendulum-v1", None, seen, done, np.array([30, 30]), np.array([-150.0, -170.0])), path)
    return str(path)


def config_of(case, pendulum):
    settings = dict(CASES[case])
    return small(**settings, demonstrations=pendulum if "env" in settings else None)


def kill(config, folder, *, iteration):
    """Train in another process, which dies within an iteration; it writes a checkpoint after each three."""
    command = [sys.executable, str(HERE / "killed_training.py"), str(folder), str(iteration)]
    command.append(json.dumps(to_dict(config)))
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_killed_before_anything_was_done(tmp_path):
    config = small(method="l2l", iterations=3)
    straight = train(config, tmp_path / "straight", progress=False)
    kill(config, tmp_path / "killed", iteration=1)
    resumed = train(config, tmp_path / "killed", resume=True, progress=False)
    assert resumed.fitted.resumed_from.name == "step-00000000.pt"
    assert_same(straight.solver.state_dict(), resumed.solver.state_dict())


@pytest.mark.parametrize("case", CASES)
def test_killed_in_the_middle_of_an_iteration(case, tmp_path, pendulum):
    """Six iterations at a stretch are three, a kill within the fifth, and three more: all players, and the log."""
    config = config_of(case, pendulum)
    straight = train(config, tmp_path / "straight", checkpoint_every=3, progress=False)
    killed = tmp_path / "killed"
    kill(config, killed, iteration=5)
    assert [path.name for path in sorted((killed / "checkpoints").glob("*.pt"))][-1] == "step-00000003.pt"
    assert len(metrics(killed)) == 4  # of which the last is of lost work
    resumed = train(config, killed, checkpoint_every=3, resume=True, progress=False)
    assert resumed.fitted.resumed_from.name == "step-00000003.pt"
    assert_same(straight.solver.state_dict(), resumed.solver.state_dict())
    assert len(metrics(killed)) == 6
    assert metrics(tmp_path / "straight") == metrics(killed)
    moved = config.method == "l2l"
    assert moved == any(name.startswith("rule_gradient") for name in metrics(killed)[0])


def test_stopped_by_a_signal_between_two_iterations(tmp_path, monkeypatch):
    config = small(method="l2l")
    straight = train(config, tmp_path / "straight", progress=False)
    update = Learner.update

    def stopped(self, batch, answer, gradient):
        update(self, batch, answer, gradient)
        if self._updates == 4:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(Learner, "update", stopped)
        with pytest.raises(Interrupted, match="after step 4"):
            train(config, tmp_path / "stopped", progress=False)
    resumed = train(config, tmp_path / "stopped", resume=True, progress=Quiet())
    assert_same(straight.solver.state_dict(), resumed.solver.state_dict())
    assert metrics(tmp_path / "straight") == metrics(tmp_path / "stopped")


def test_a_trained_policy_is_found_again(tmp_path):
    config = small(method="l2l", iterations=2)
    trained = train(config, tmp_path, progress=False)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    found = restore(config, tmp_path)
    assert torch.equal(before, torch.get_rng_state())
    assert_same(dict(trained.policy.state_dict()), dict(found.policy.state_dict()))
    with pytest.raises(CheckpointError, match="does not fit the configuration"):
        restore(small(iterations=2), tmp_path)
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        restore(config, tmp_path / "nowhere")
