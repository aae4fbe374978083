"""Experts: the best policy is kept and not the last, the same seed gives the same, and episodes are counted fairly."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecNormalize

from bilevel.errors import ConfigurationError, NonFiniteError
from tasks.cli import main
from tasks.gail.demonstrations import load
from tasks.gail.environments import make
from tasks.gail.expert import record_expert, train_expert
from tasks.gail.expert_config import ZOO, ExpertConfig
from tasks.gail.expert_policy import ExpertPolicy
from tasks.gail.playing import evaluate, play

TINY = ExpertConfig(
    steps=1300,
    rollout=128,
    batch_size=64,
    critic_updates=2,
    evaluate_every=1,
    evaluation_episodes=4,
    test_episodes=6,
    trajectories=3,
    subsample=4,
    seed=2,
)


class Always:
    """A policy that does one thing, or what `choose` says."""

    def __init__(self, choose):
        self.choose = choose

    def predict(self, observation, *, deterministic=False):
        return self.choose(observation), None


LEFT = Always(lambda seen: np.zeros(len(seen), np.int64))


def one_by_one(policy, count, seed, episodes):
    """Return the returns of single environments that play their share of episodes, by plain Python."""
    returns = []
    for i in range(count):
        environment = make("CartPole-v1", count=1, seed=seed + i, vectorised=False)
        seen = environment.reset()
        for _ in range(len(range(i, episodes, count))):
            total, done = 0.0, [False]
            while not done[0]:
                seen, reward, done, _ = environment.step(policy.predict(seen)[0])
                total += float(reward[0])
            returns.append(total)
    return returns


@pytest.mark.parametrize(("count", "episodes"), [(1, 3), (4, 4), (4, 9), (5, 3)])
def test_each_environment_plays_its_share_of_the_episodes(count, episodes):
    environments = make("CartPole-v1", count=count, seed=2)
    played = play(LEFT, environments, episodes)
    assert played.returns.tolist() == one_by_one(LEFT, count, 2, episodes)
    assert np.array_equal(played.lengths, played.returns)
    assert len(played.observations) == len(played.actions) == played.lengths.sum()
    begins = np.cumsum(played.lengths) - played.lengths
    assert (np.abs(played.observations[begins]) <= 0.05).all()  # where episodes begin
    # Within an episode the cart is where it was, moved by its speed.
    inner = np.setdiff1d(np.arange(len(played.observations) - 1), begins - 1)
    places, speeds = played.observations[:, 0], played.observations[:, 1]
    np.testing.assert_allclose(places[inner + 1], places[inner] + 0.02 * speeds[inner], atol=1e-7)


def test_returns_are_those_that_stable_baselines_counts():
    policy = Always(lambda seen: (seen[:, 2] > 0).astype(np.int64))

    class Theirs:
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return policy.predict(observation)

    mine = evaluate(policy, make("CartPole-v1", count=3, seed=0), 6)
    theirs, _ = evaluate_policy(
        Theirs(), make("CartPole-v1", count=3, seed=0), 6, return_episode_rewards=True, warn=False
    )
    assert sorted(mine.tolist()) == sorted(theirs)


def test_a_fixed_horizon_is_played_to_its_end():
    played = play(LEFT, make("CartPole-v1", count=2, seed=0, horizon=30), 4)
    assert played.lengths.tolist() == [30] * 4
    assert played.returns.tolist() == one_by_one(LEFT, 2, 0, 4)


def test_no_episodes_are_refused():
    with pytest.raises(ConfigurationError, match="episodes must be at least 1, got 0"):
        evaluate(LEFT, make("CartPole-v1", count=1, seed=0), 0)


@pytest.fixture(scope="module")
def trained():
    seen = []
    torch.manual_seed(7)
    before = torch.get_rng_state()
    expert = train_expert(TINY, on_evaluation=lambda evaluation, best: seen.append((evaluation, best)))
    assert torch.equal(torch.get_rng_state(), before)  # the caller's random numbers stay
    return expert, seen


def weights(policy):
    return policy.policy.state_dict()


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_best_policy_is_kept_and_not_the_last(trained):
    expert, seen = trained
    means = [evaluation.mean for evaluation, _ in seen]
    assert [evaluation.steps for evaluation, _ in seen] == list(range(256, 1300, 256))
    assert max(means) > means[-1]  # this training falls back: otherwise the test would tell nothing
    best = len(means) - 1 - means[::-1].index(max(means))
    assert expert.best == seen[best][0]
    assert expert.evaluations == tuple(evaluation for evaluation, _ in seen)
    assert same(weights(expert.policy), weights(seen[best][1]))
    assert same(weights(seen[-1][1]), weights(expert.policy))
    assert not same(weights(seen[0][1]), weights(expert.policy)) or best == 0


def test_the_best_policy_earns_what_was_said(trained):
    expert, _ = trained
    environments = make("CartPole-v1", count=TINY.evaluation_episodes, seed=TINY.seed + 10_000)
    torch.manual_seed(TINY.seed + 10_000)
    again = evaluate(expert.policy, environments, TINY.evaluation_episodes)
    assert (again.mean(), again.std()) == (expert.best.mean, expert.best.deviation)


def test_the_same_seed_gives_the_same_expert(trained):
    expert, _ = trained
    torch.manual_seed(99)  # does not matter
    again, other = train_expert(TINY), train_expert(replace(TINY, seed=1))
    assert same(weights(again.policy), weights(expert.policy))
    assert np.array_equal(again.returns, expert.returns)
    assert again.evaluations == expert.evaluations
    assert not same(weights(other.policy), weights(expert.policy))


def test_a_normalised_policy_sees_what_it_saw_in_its_training():
    expert = train_expert(replace(TINY, env="MountainCar-v0", normalise=True, steps=600))
    environments = VecNormalize(make("MountainCar-v0", count=3, seed=0), training=False)
    environments.obs_rms.mean, environments.obs_rms.var = expert.policy.mean, expert.policy.variance
    raw = np.random.default_rng(0).uniform([-1.2, -0.07], [0.6, 0.07], (50, 2)).astype(np.float32)
    theirs, _ = expert.policy.policy.predict(environments.normalize_obs(raw), deterministic=True)
    assert np.array_equal(expert.policy.predict(raw, deterministic=True)[0], theirs)
    assert len(np.unique(theirs)) > 1
    assert not np.allclose(expert.policy.mean, 0)


def test_weights_that_are_no_numbers_stop_the_training():
    with pytest.raises(NonFiniteError, match=r"weights are not finite after \d+ steps: lower kl or learning_rate"):
        train_expert(replace(TINY, learning_rate=1e30))


def test_a_saved_expert_is_the_same(trained, tmp_path):
    expert, _ = trained
    scaled = ExpertPolicy("CartPole-v1", expert.policy.policy, np.array([0.1, 0, 0, 0]), np.array([1.0, 2, 3, 4]))
    for policy in (expert.policy, scaled):
        policy.save(tmp_path / "expert.pt")
        again = ExpertPolicy.load(tmp_path / "expert.pt")
        raw = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
        assert np.array_equal(again.predict(raw, deterministic=True)[0], policy.predict(raw, deterministic=True)[0])
    (tmp_path / "other.pt").write_bytes((tmp_path / "expert.pt").read_bytes()[:500])
    with pytest.raises(ConfigurationError, match=r"other\.pt is damaged or no expert"):
        ExpertPolicy.load(tmp_path / "other.pt")
    torch.save({"weights": 1}, tmp_path / "other.pt")
    with pytest.raises(ConfigurationError, match=r"other\.pt is not an expert that"):
        ExpertPolicy.load(tmp_path / "other.pt")
    with pytest.raises(ConfigurationError, match="is no file: name an expert"):
        ExpertPolicy.load(tmp_path / "none.pt")


def test_the_record_is_of_fresh_episodes_of_the_same_policy(trained):
    expert, _ = trained
    free, fixed = (record_expert(expert.policy, TINY, horizon) for horizon in (None, 60))
    assert len(free.returns) == TINY.trajectories
    assert fixed.lengths.tolist() == [60] * TINY.trajectories
    assert np.array_equal(free.observations[0], fixed.observations[0])
    assert np.array_equal(free.actions, record_expert(expert.policy, TINY, None).actions)


def test_the_command_leaves_an_expert_and_its_demonstrations(tmp_path, capsys):
    folder = tmp_path / "expert"
    words = "--steps 400 --rollout 100 --batch-size 50 --critic-updates 1 --evaluate-every 200 --evaluation-episodes 2"
    more = "--test-episodes 3 --trajectories 2 --subsample 3 --horizons 40 --seed 5"
    arguments = ["train", "gail-expert", "--env", "CartPole-v1", *words.split(), *more.split(), "--run", str(folder)]
    assert main(arguments) == 0
    assert "Its demonstrations: " in capsys.readouterr().out
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["command"].startswith("bilevel train gail-expert --env CartPole-v1 --steps 400 --rollout 100")
    with (folder / "metrics.csv").open() as file:
        assert [int(row["steps"]) for row in csv.DictReader(file)] == [200, 400]
    free, fixed = (load(folder / "demonstrations" / name) for name in ("CartPole-v1", "CartPole-v1-horizon-40"))
    assert (free.horizon, fixed.horizon) == (None, 40)
    assert fixed.lengths.sum() in {26, 27, 28}  # 13 or 14 of each 40
    assert free.about["command"] == config["command"]
    assert (free.about["subsampled"], free.about["actions"], free.about["seed"]) == (3, "drawn", 5)
    results = json.loads((folder / "results.json").read_text())
    assert [(one["split"], one["data"], one["n"]) for one in results] == [
        ("test", "CartPole-v1", 3),
        ("test", "CartPole-v1", 3),
        ("demonstrations", "CartPole-v1", 2),
        ("demonstrations", "CartPole-v1-horizon-40", 2),
    ]
    expert = ExpertPolicy.load(folder / "checkpoints" / "expert.pt")
    settings = {name: value for name, value in config.items() if name not in {"task", "command"}}
    again = record_expert(expert, ExpertConfig(**{**settings, "hidden": (64, 64), "horizons": (40,)}), None)
    assert np.array_equal(again.returns, free.returns)
    assert main(["resume", str(folder)]) == 2
    assert "Start it anew: `bilevel train gail-expert --env CartPole-v1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--env", "CartPol-v1"], "There is no environment 'CartPol-v1'. The nearest names are: CartPole-v1"),
        (["--steps", "100"], "steps must be enough for one rollout, 512 steps in each of 2 environments; got 100"),
        (["--gamma", "2"], "gamma must be in [0, 1], got 2"),
        (["--subsample", "0"], "subsample must be above 0, got 0"),
        (["--horizons", "0"], "hidden and horizons hold whole numbers from 1"),
        (["--threads", "0"], "threads must be a whole number from 1, got 0"),
        (["--rollout", "1", "--environments", "1"], "An update needs two steps at least, got rollout=1"),
        (["--seed", "5000000000"], "seed must be a number from 0 to"),
    ],
)
def test_an_error_of_use_is_one_sentence_and_leaves_nothing(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "gail-expert", *words]) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert "Traceback" not in shown.err
    assert not list(tmp_path.iterdir())


def test_an_environment_brings_its_own_settings():
    from tasks.commands.train_gail_expert import TrainGAILExpert

    assert TrainGAILExpert.default(["--env", "MountainCar-v0"]).config == ZOO["MountainCar-v0"]
    assert TrainGAILExpert.default(["--env=Acrobot-v1"]).config == ExpertConfig(env="Acrobot-v1")
    assert TrainGAILExpert.default([]).config == ZOO["CartPole-v1"]


def test_without_the_extra_the_command_says_so_and_demonstrations_are_read(tmp_path):
    program = (
        "import sys\n"
        "for name in ('gymnasium', 'stable_baselines3', 'sb3_contrib'):\n"
        "    sys.modules[name] = None\n"
        "from tasks.cli import main\n"
        "from tasks.gail.demonstrations import shipped\n"
        "assert len(shipped('CartPole-v1')) == 500\n"
        "sys.exit(main(['train', 'gail-expert']))\n"
    )
    where = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=where, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "bilevel: Imitation learning needs gymnasium, of the extra 'rl': pip install 'bilevel[rl]'.\n"
    )
    assert not list(tmp_path.iterdir())
