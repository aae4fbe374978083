"""The leader: what it plays, what it learns from, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import sb3_contrib
import stable_baselines3 as sb3
import torch
from imitation_cases import assert_same, small

import bilevel
from bilevel.errors import ConfigurationError, NonFiniteError
from tasks.gail.algorithms import make_algorithm
from tasks.gail.environments import make
from tasks.gail.learner import Learner
from tasks.gail.standardise import Standardise


def learner_for(rewards=None, *, seed=0, **settings):
    """Return a learner whose rewards are those of a function of the batch and the answer; by default all 1."""
    config = small(**{"env": "CartPole-v1", **settings})
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (the algorithms' own batches)
    environments = make(config.env, count=config.environments, seed=seed, horizon=config.horizon)
    algorithm = make_algorithm(config, environments)
    rows = config.steps
    return Learner(algorithm, environments, rewards or (lambda batch, z: torch.ones(rows)), iterations=6, seed=seed)


def test_the_buffer_holds_what_the_policy_says_of_its_steps():
    learner = learner_for()
    rollout = learner.collect()
    buffer, policy = learner.algorithm.rollout_buffer, learner.algorithm.policy
    for step in (0, 7, 15):
        seen, done = torch.from_numpy(buffer.observations[step]), torch.from_numpy(buffer.actions[step]).flatten()
        with torch.no_grad():
            values, log_probabilities, _ = policy.evaluate_actions(seen, done)
        torch.testing.assert_close(torch.from_numpy(buffer.values[step]), values.flatten())
        torch.testing.assert_close(torch.from_numpy(buffer.log_probs[step]), log_probabilities)
    # A row a step, one environment after another.
    for environment in range(4):
        rows = slice(16 * environment, 16 * (environment + 1))
        assert np.array_equal(rollout.observations[rows].numpy(), buffer.observations[:, environment])
        assert np.array_equal(rollout.actions[rows].numpy(), buffer.actions[:, environment, 0])


def test_policies_that_keep_a_state_between_steps_are_refused():
    environments = make("CartPole-v1", count=4, seed=0)
    recurrent = sb3_contrib.RecurrentPPO("MlpLstmPolicy", environments, n_steps=4)
    with pytest.raises(ConfigurationError, match="A recurrent policy is not supported"):
        Learner(recurrent, environments, lambda *_: torch.ones(16), iterations=1, seed=0)
    pendulum = make("Pendulum-v1", count=4, seed=0)
    noisy = sb3.A2C("MlpPolicy", pendulum, n_steps=4, use_sde=True)
    with pytest.raises(ConfigurationError, match="use_sde"):
        Learner(noisy, pendulum, lambda *_: torch.ones(16), iterations=1, seed=0)


def test_an_algorithm_that_breaks_down_says_how_to_calm_it(monkeypatch):
    learner = learner_for()

    def broken():
        raise ZeroDivisionError("float division by zero")

    learner.collect()
    monkeypatch.setattr(learner.algorithm, "train", broken)
    with pytest.raises(NonFiniteError, match=r"could not be moved \(float division by zero\).*smaller learning rate"):
        learner.update(None, [torch.zeros(1)], None)

    def astray():
        learner.algorithm.policy.action_net.bias.data.fill_(float("nan"))

    learner.collect()
    monkeypatch.setattr(learner.algorithm, "train", astray)
    with pytest.raises(NonFiniteError, match="weights are not finite after its update"):
        learner.update(None, [torch.zeros(1)], None)


def test_the_steps_are_those_of_the_environment():
    """Another environment of the same seed, given the same actions, shows the same; episodes go on between rollouts."""
    learner = learner_for()
    again = make("CartPole-v1", count=4, seed=0)
    seen, starts, returns = again.reset(), np.ones(4, dtype=bool), []
    for _ in range(3):
        rollout = learner.collect()
        learner.update(None, [torch.zeros(1)], None)
        actions, observations = (one.numpy().reshape(4, 16, -1).swapaxes(0, 1) for one in
                                 (rollout.actions, rollout.observations))  # fmt: skip
        returns += rollout.returns
        for step in range(16):
            assert np.array_equal(observations[step], seen)
            seen, _, starts, infos = again.step(actions[step, :, 0])
            for one in np.flatnonzero(starts):
                assert returns.pop(0) == infos[one]["episode"]["r"]
        assert np.array_equal(rollout.last_done, starts)
    assert learner.numbers["environment_steps"] == 192
    assert not returns


def reference_advantages(rewards, values, starts, *, last_values, last_done, gamma=0.995, lam=0.97):
    """Return GAE, written out environment by environment."""
    steps, count = rewards.shape
    advantages = np.zeros((steps, count))
    for one in range(count):
        running = 0.0
        for step in reversed(range(steps)):
            ends = last_done[one] if step == steps - 1 else starts[step + 1, one]
            following = last_values[one] if step == steps - 1 else values[step + 1, one]
            going = 1.0 - float(ends)
            delta = rewards[step, one] + gamma * following * going - values[step, one]
            running = delta + gamma * lam * going * running
            advantages[step, one] = running
    return advantages


def test_advantages_are_those_of_the_given_rewards_with_a_value_where_time_ran_out():
    """Each episode is cut off after five steps, and ends never by itself: the value of its last state is added."""
    given = torch.linspace(-1, 1, 64)
    learner = learner_for(lambda batch, z: given, horizon=5)
    rollout = learner.collect()
    buffer, policy = learner.algorithm.rollout_buffer, learner.algorithm.policy
    starts, values, episodes = buffer.episode_starts.copy(), buffer.values.copy(), len(rollout.returns)
    assert episodes == 12
    assert (rollout.bootstrap != 0).sum() == 12
    ends = np.zeros_like(starts)
    ends[4::5] = 1
    assert np.array_equal(rollout.bootstrap != 0, ends == 1)
    # The state after the cut is not in the buffer: play it once more.
    again = make("CartPole-v1", count=4, seed=0, horizon=5)
    again.reset()
    bootstrap = np.zeros_like(values)
    for step in range(16):
        _, _, dones, infos = again.step(buffer.actions[step].flatten())
        for one in np.flatnonzero(dones):
            last = torch.from_numpy(infos[one]["terminal_observation"])[None]
            with torch.no_grad():
                bootstrap[step, one] = learner.algorithm.gamma * policy.predict_values(last)
    assert rollout.bootstrap == pytest.approx(bootstrap, rel=1e-5)
    rewards = given.numpy().reshape(4, 16).T + bootstrap
    last_values, last_done = rollout.last_values.flatten().numpy(), rollout.last_done
    expected = reference_advantages(rewards, values, starts, last_values=last_values, last_done=last_done)
    learner.update(None, [torch.zeros(1)], None)
    flat = expected.swapaxes(0, 1).reshape(-1)
    assert buffer.advantages.flatten() == pytest.approx(flat, rel=1e-4, abs=1e-5)
    assert buffer.returns.flatten() == pytest.approx(flat + values.swapaxes(0, 1).reshape(-1), rel=1e-4, abs=1e-5)


def test_true_rewards_are_looked_at_by_nobody():
    """The same training where the environment pays a thousand times as much, and takes where it gave."""
    plain, dear = learner_for(), learner_for()
    step = dear.collector.environments.step_wait

    def dearer():
        seen, rewards, dones, infos = step()
        return seen, -1000 * rewards, dones, infos

    dear.collector.environments.step_wait = dearer
    for learner in (plain, dear):
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)
        for _ in range(2):
            learner.collect()
            learner.update(None, [torch.zeros(1)], None)
    assert_same(dict(plain.algorithm.policy.state_dict()), dict(dear.algorithm.policy.state_dict()))


@pytest.mark.parametrize("algorithm", ["trpo", "ppo", "a2c"])
def test_every_algorithm_moves_the_policy_towards_rewards(algorithm, capfd):
    """With 1 for the second action and 0 for the first, the second becomes likelier in nearly every state."""
    learner = learner_for(
        lambda batch, z: batch.float(), algorithm=algorithm, steps=256, gamma=0.0, gae_lambda=0.0,
        passes=10, learning_rate=None if algorithm == "trpo" else 3e-3,
    )  # fmt: skip
    probe = torch.randn(200, 4) * 0.1
    with torch.no_grad():
        before = learner.algorithm.policy.get_distribution(probe).distribution.probs[:, 1]
    for _ in range(6):
        learner.update(learner.collect().actions, [torch.zeros(1)], None)
    with torch.no_grad():
        after = learner.algorithm.policy.get_distribution(probe).distribution.probs[:, 1]
    assert (after > before).float().mean() > 0.95
    assert "value_loss" in learner.numbers
    assert ("kl" in learner.numbers) == (algorithm != "a2c")
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("algorithm", ["trpo", "ppo"])
def test_a_last_batch_that_is_smaller_is_no_cause_for_a_warning(algorithm, recwarn):
    """As in the presets of the paper: 5,000 steps in batches of 128."""
    learner_for(algorithm=algorithm, batch_size=24)
    assert [str(one.message) for one in recwarn] == []


def test_rewards_that_are_not_finite_do_not_reach_the_policy():
    learner = learner_for(lambda batch, z: torch.full((64,), torch.inf))
    before = {name: tensor.clone() for name, tensor in learner.algorithm.policy.state_dict().items()}
    learner.collect()
    with pytest.raises(NonFiniteError, match=r"norm of its weights is 2\): its updater diverged"):
        learner.update(None, [torch.full((4,), 1.0)], None)
    assert_same(before, dict(learner.algorithm.policy.state_dict()))


def test_an_update_needs_a_rollout():
    learner = learner_for()
    with pytest.raises(ConfigurationError, match="play first"):
        learner.update(None, [torch.zeros(1)], None)


def test_what_is_standardised_changes_after_the_update_only():
    learner = learner_for(standardise=True)
    extractor = learner.algorithm.policy.features_extractor
    assert isinstance(extractor, Standardise)
    rollout = learner.collect()
    assert float(extractor.count) < 1
    learner.update(None, [torch.zeros(1)], None)
    assert float(extractor.count) == pytest.approx(64, rel=1e-5)
    torch.testing.assert_close(extractor.mean.float(), rollout.observations.mean(0), rtol=1e-3, atol=1e-4)
    on_scale = extractor(rollout.observations)
    torch.testing.assert_close(on_scale.mean(0), torch.zeros(4), rtol=0, atol=1e-3)
    torch.testing.assert_close(on_scale.std(0, correction=0), torch.ones(4), rtol=1e-2, atol=0)
    assert float(extractor(torch.full((1, 4), 1e6)).max()) == 10


def test_a_solver_takes_it_for_a_leader_without_a_gradient():
    learner = learner_for()
    assert not learner.uses_gradient
    assert learner.parameters(learner.algorithm.policy) == []
    assert isinstance(learner, bilevel.LeaderUpdate)
