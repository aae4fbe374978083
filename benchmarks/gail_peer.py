"""The other side of gail.py: run by a Python that has the `imitation` package; it trains when it is told to.

It reads a line of settings, then lines with a number of iterations, and answers each with "done".
"""

import json
import os
import sys
import tempfile

import gymnasium
import numpy as np
import torch
from imitation.algorithms.adversarial.gail import GAIL
from imitation.data.types import Transitions
from imitation.rewards.reward_nets import BasicRewardNet
from imitation.util import logger
from sb3_contrib import TRPO
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn


def trainer(settings):
    seen = np.array(settings["observations"], dtype=np.float32)
    done = np.array(settings["actions"])
    count, environments = len(seen), settings["environments"]
    demonstrations = Transitions(
        obs=seen, acts=done, next_obs=seen, dones=np.zeros(count, dtype=bool), infos=np.array([{}] * count)
    )
    venv = DummyVecEnv([lambda: gymnasium.make("CartPole-v1")] * environments)
    hidden = list(settings["policy_hidden"])
    policy = TRPO(
        "MlpPolicy",
        venv,
        n_steps=settings["steps"] // environments,
        batch_size=settings["batch_size"],
        gamma=settings["gamma"],
        gae_lambda=settings["gae_lambda"],
        target_kl=settings["kl"],
        cg_damping=settings["damping"],
        cg_max_steps=settings["cg_steps"],
        n_critic_updates=settings["passes"],
        policy_kwargs={"net_arch": {"pi": hidden, "vf": hidden}, "activation_fn": nn.Tanh},
        device="cpu",
    )
    network = BasicRewardNet(venv.observation_space, venv.action_space, hid_sizes=tuple(settings["hidden"]))
    return GAIL(
        demonstrations=demonstrations,
        demo_batch_size=count,
        gen_replay_buffer_capacity=settings["steps"],
        n_disc_updates_per_round=1,
        venv=venv,
        gen_algo=policy,
        reward_net=network,
        custom_logger=logger.configure(tempfile.mkdtemp(), format_strs=[]),
        allow_variable_horizon=True,
    )


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the packages print
    torch.set_num_threads(1)
    settings = json.loads(sys.stdin.readline())
    training = trainer(settings)
    print("done", file=answers, flush=True)
    for line in sys.stdin:
        training.train(int(line) * settings["steps"])
        print("done", file=answers, flush=True)


if __name__ == "__main__":
    main()
