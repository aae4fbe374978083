"""Trainings of imitation: what they refuse, what they leave behind, and what the commands say."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from imitation_cases import metrics, small

from bilevel.errors import ConfigurationError, DivergenceError
from tasks.cli import main
from tasks.gail.demonstrations import Demonstrations, load, save, shipped
from tasks.gail.demonstrations.shipped import FOLDER
from tasks.gail.evaluation import returns_of
from tasks.gail.own_run import config_of
from tasks.gail.train import restore, train
from tasks.run import Run

QUICK = [
    *("--steps", "64", "--environments", "4", "--policy-hidden", "8", "--hidden", "6", "4", "--passes", "2"),
    *("--batch-size", "16", "--iterations", "2", "--evaluation-episodes", "2"),
]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"method": "l3l"}, "no method 'l3l'. Did you mean l2l"),
        ({"reward": "survial"}, "Did you mean survival"),
        ({"algorithm": "trop"}, "Did you mean trpo"),
        ({"method": "gail", "updater": "lstm"}, "The updater lstm learns, which the method gail does not take"),
        (
            {"method": "l2l", "updater": "adam"},
            "written by hand, which the method l2l does not take. Choose one of c",
        ),
        ({"method": "base", "updater": "sgd"}, "written by hand"),
        ({"updater": "adma"}, "no updater 'adma'. Did you mean adam"),
        ({"environments": 65}, "environments=65 is more than the steps=64 of an iteration"),
        ({"environments": 5}, "multiple of environments"),
        ({"environments": 1, "steps": 1}, "at least 2"),
        ({"horizon": 0}, "horizon must be above 0"),
        ({"iterations": 0}, "iterations must be above 0"),
        ({"algorithm": "ppo", "batch_size": 1}, "batch_size must be at least 2 with ppo"),
        ({"method": "l2l", "updater": "paper-factored", "unroll": 2}, "paper-factored makes one update a move"),
        ({"gamma": 1.5}, r"gamma must lie in \[0, 1\]"),
        ({"kl": math.nan}, "kl must be a finite number"),
        ({"entropy_bonus": -1.0}, "entropy_bonus must be at least 0"),
        ({"hidden": (0,)}, "Hidden layers must have units"),
        ({"seed": -1}, "seed must be a number from 0"),
        ({"updater_rate": 0.0}, "rate must be a finite number above 0"),
    ],
)
def test_a_configuration_says_what_is_wrong_with_it(settings, words):
    with pytest.raises(ConfigurationError, match=words):
        small(**settings)


def written(folder, environment="CartPole-v1", *, width=4, actions=None):
    draw = np.random.default_rng(0)
    done = draw.integers(0, 2, size=20) if actions is None else actions
    seen = draw.normal(size=(20, width)).astype(np.float32)
    save(Demonstrations(environment, None, seen, done, np.array([20]), np.array([500.0])), folder / "demonstrations")
    return str(folder / "demonstrations.npz")


def test_what_does_not_fit_is_said_before_anything_is_trained(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = tmp_path / "files"
    car = written(files / "car", "MountainCar-v0", width=2)
    wide = written(files / "wide", width=5)
    continuous = written(files / "continuous", actions=np.zeros((20, 1), dtype=np.float32))
    plain, fixed = str(FOLDER / "CartPole-v1.npz"), str(FOLDER / "CartPole-v1-horizon-500.npz")
    cases = [
        (["--env", "CartPole-v9"], "no environment 'CartPole-v9'. The nearest names are: CartPole-v1"),
        (["--demonstrations", car], "The demonstrations are of MountainCar-v0, the environment is CartPole-v1"),
        (["--demonstrations", wide], "5 numbers an observation"),
        (["--demonstrations", continuous], "vectors of 1 numbers, those of the environment are whole numbers from 0"),
        (["--demonstrations", "nowhere.npz"], "nowhere.npz is no file"),
        (["--demonstrations", str(files)], "or a folder: a data set of Minari"),
        (["--env", "Acrobot-v1"], "bilevel train gail-expert --env Acrobot-v1"),
        (["--trajectories", "1000"], "asked for are 1000"),
        (["--expert-batch", "100000"], "expert_batch is 100000"),
        (["--fresh", "--expert-batch", "1"], "Two halves need at least two pairs of each player"),
        (["--horizon", "300"], "--horizons 300"),
        (
            ["--horizon", "300", "--demonstrations", plain],
            "end as the environment's do, those of the training take 300 steps",
        ),
        (["--demonstrations", fixed], "take 500 steps each, those of the training end as"),
        (["--environments", "4096"], "environments=4096 is more than the steps=2048"),
        (["--preset", "cartpol"], "Did you mean cartpole"),
        (["--method", "l2l", "--updater", "paper", "--hidden", "1000", "1000"], "coordinate-wise"),
        (["--updater-limit", "0.1"], "updater_limit is not used with method=gail, but with l2l"),
        (["--method", "base", "--updater-rate", "0.1"], "is not used with method=base, but with gail or l2l"),
        (["--method", "frozen", "--gradient-penalty", "1"], "gradient_penalty is not used with method=frozen"),
        (["--algorithm", "ppo", "--kl", "0.1"], "kl is not used with algorithm=ppo, but with trpo"),
        (["--method", "l2l", "--updater-rank", "4"], "is not used with updater=coordinate-wise, but with low-rank"),
    ]
    for words, message in cases:
        assert main(["train", "gail", *words]) == 2, words
        assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


def test_a_missing_extra_is_one_clear_sentence():
    code = (
        "import sys; sys.modules['sb3_contrib'] = None; from tasks.cli import main; sys.exit(main(['train', 'gail']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    said = "bilevel: Imitation learning needs sb3_contrib, of the extra 'rl': pip install 'bilevel[rl]'."
    assert done.stderr.strip() == said


def test_the_command_leaves_a_run_that_is_found_again(tmp_path, capsys):
    folder = tmp_path / "run"
    assert main(["train", "gail", "--method", "l2l", *QUICK, "--run", str(folder), "--tensorboard"]) == 0
    run, shown = Run.open(folder), capsys.readouterr().out
    (record,) = run.results()
    assert record["method"] == "l2l coordinate-wise"
    assert record["kind"] == "learned"
    assert f"Return in 2 fresh episodes: {record['return']:.2f}" in shown
    rows = metrics(folder, seconds=True)
    assert [int(row["step"]) for row in rows] == [1, 2]
    assert [float(row["environment_steps"]) for row in rows] == [64, 128]
    assert {"return", "follower_loss", "rule_gradient_norm", "discriminator_norm", "entropy", "kl", "seconds"} <= set(
        rows[0]
    )
    assert list((folder / "tensorboard").glob("events*"))
    assert "return while training" in (folder / "report.md").read_text()
    assert run.config["command"].startswith("bilevel train gail --preset cartpole --method l2l")
    assert main(["evaluate", str(folder), "--episodes", "3", "--deterministic"]) == 0
    assert [one["episodes"] for one in run.results()] == [2, 3]
    assert main(["train", "gail", *QUICK, "--run", str(folder)]) == 2
    assert "bilevel resume" in capsys.readouterr().err


def test_a_diverging_updater_is_named_and_does_not_reach_the_policy(tmp_path):
    config = small(method="l2l", updater="paper-literal", updater_bound=20.0, iterations=50)
    with pytest.raises(DivergenceError, match="The updater paper-literal diverged: after its update the norm of"):
        train(config, tmp_path, checkpoint_every=1, progress=False)
    norms = [float(row["discriminator_norm"]) for row in metrics(tmp_path)]
    assert 1 < len(norms) < 50
    assert max(norms) <= 20
    kept = restore(config, tmp_path)
    assert kept.solver.step_count == len(norms)
    assert all(bool(p.isfinite().all()) for p in kept.policy.parameters())


@pytest.mark.parametrize(
    ("method", "named", "flag"),
    [("gail", "adam", "--updater-rate"), ("base", "base of coordinate-wise", "--updater-step"),
     ("l2l", "coordinate-wise", "--proximal")],
)  # fmt: skip
def test_the_command_says_which_flags_calm_a_diverging_updater(method, named, flag, tmp_path, capsys):
    bound = ["--method", method, "--updater-bound", "0.001", "--run", str(tmp_path / "run")]
    assert main(["train", "gail", *QUICK, *bound]) != 0
    said = capsys.readouterr().err
    assert f"The updater {named} diverged" in said
    assert flag in said.partition("The flags for that: ")[2]


def test_no_flag_is_recommended_that_would_be_refused(tmp_path, capsys):
    words = ["--method", "l2l", "--updater", "paper-literal", "--updater-bound", "0.001"]
    assert main(["train", "gail", *QUICK, *words, "--run", str(tmp_path / "run")]) != 0
    assert capsys.readouterr().err.strip().endswith("The flags for that: a smaller --updater-rate.")


def test_a_frozen_discriminator_gives_one_number_and_does_not_move():
    training = train(small(method="frozen", iterations=3), progress=False)
    first = training.solver.task.discriminator.start(torch.zeros(1))
    for name, weight in training.solver.answer.items():
        assert torch.equal(weight, first[name])
    assert [row["reward"] for row in training.fitted.rows] == [pytest.approx(math.log(2))] * 3
    assert "follower_loss" not in training.fitted.rows[0]


def test_the_base_is_the_learned_updater_without_what_it_learns():
    """With a correction of no size the learned rule's training is the control's, to rounding."""
    tiny = train(small(method="l2l", updater_limit=1e-12), progress=False)
    base = train(small(method="base"), progress=False)
    assert [row.get("return") for row in tiny.fitted.rows] == [row.get("return") for row in base.fitted.rows]
    for name, weight in base.solver.answer.items():
        torch.testing.assert_close(tiny.solver.answer[name], weight, rtol=1e-5, atol=1e-6)
    other = train(small(method="l2l", updater_limit=1.0), progress=False)
    assert not torch.allclose(other.solver.answer["weight0"], base.solver.answer["weight0"], atol=1e-3)


def test_two_seeds_have_nothing_in_common_and_one_is_itself():
    one, again, other = (train(small(seed=seed, iterations=2), progress=False) for seed in (0, 0, 1))
    drop = "seconds"
    rows = [[{k: v for k, v in row.items() if k != drop} for row in t.fitted.rows] for t in (one, again, other)]
    assert rows[0] == rows[1]
    assert rows[0] != rows[2]


def test_fresh_episodes_are_the_same_ones_and_leave_the_random_numbers_alone():
    training = train(small(iterations=1), progress=False)
    state = torch.get_rng_state()
    first = returns_of(training.policy, training.config, episodes=5)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(first, returns_of(training.policy, training.config, episodes=5))
    random = returns_of(None, training.config, episodes=200)
    assert 20 < random.mean() < 25  # 22.2 is known


def test_a_random_policy_draws_all_of_a_box():
    from tasks.gail.evaluation import Uniform

    space = build_space("Pendulum-v1")
    drawn = Uniform(space, np.random.default_rng(0)).predict(np.zeros((1000, 3)))[0]
    assert drawn.shape == (1000, 1)
    assert (float(drawn.min()), float(drawn.max())) == pytest.approx((-2, 2), abs=0.02)


def build_space(name):
    from tasks.gail.environments import make

    return make(name, count=1, seed=0).action_space


def test_a_run_keeps_the_demonstrations_it_was_given(tmp_path, monkeypatch):
    """Those that were named change and vanish; the run is resumed and played from another folder."""
    monkeypatch.chdir(tmp_path)
    save(shipped("CartPole-v1"), "given")
    assert main(["train", "gail", *QUICK, "--demonstrations", "given.npz", "--trajectories", "3", "--run", "run"]) == 0
    (tmp_path / "given.npz").unlink()
    config = config_of(Run.open(tmp_path / "run"))
    kept, named = load(config.demonstrations), shipped("CartPole-v1").take(3)
    assert np.array_equal(kept.observations, named.observations)
    assert np.array_equal(kept.actions, named.actions)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["resume", "../run"]) == 0
    assert main(["evaluate", "../run", "--episodes", "1"]) == 0
    monkeypatch.chdir(tmp_path)
    assert main(["train", "gail", *QUICK, "--run", "run", "--overwrite"]) == 0
    assert config_of(Run.open(tmp_path / "run")).demonstrations is None  # those of the run before are gone
