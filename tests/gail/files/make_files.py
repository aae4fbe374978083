"""Write the tiny data sets of this folder by the libraries whose formats they are.

python tests/gail/files/make_files.py

needs an environment of its own: pip install "minari[hdf5]==0.5.4" imitation==1.0.1 (imitation asks for an older
gymnasium, but not for what is used of it here).
"""

from __future__ import annotations

import os
from pathlib import Path

import gymnasium
import numpy as np

HERE = Path(__file__).parent
KINDS = {"CartPole-v1": "cartpole", "Pendulum-v1": "pendulum"}
LENGTHS = (5, 3)


def episodes(name):
    """Yield two episodes of random actions: observations, actions, rewards."""
    env = gymnasium.make(name)
    for number, length in enumerate(LENGTHS):
        env.action_space.seed(number)
        observations, actions, rewards = [env.reset(seed=number)[0]], [], []
        for _ in range(length):
            actions.append(env.action_space.sample())
            observation, reward, *_ = env.step(actions[-1])
            observations.append(observation)
            rewards.append(float(reward))
        yield np.array(observations), np.array(actions), np.array(rewards)


def write_minari(name, kind):
    os.environ["MINARI_DATASETS_PATH"] = str(HERE / "minari")
    import minari
    from minari.data_collector import EpisodeBuffer

    buffers = []
    for number, (observations, actions, rewards) in enumerate(episodes(name)):
        flags = [False] * len(rewards)
        buffers.append(
            EpisodeBuffer(
                id=number,
                observations=observations,
                actions=actions,
                rewards=list(rewards),
                terminations=flags,
                truncations=flags,
                infos={},
            )
        )
    minari.create_dataset_from_buffers(
        f"{kind}/tiny-v0",
        buffers,
        env=gymnasium.make(name),
        algorithm_name="random",
        author="nobody",
        author_email="nobody@example.com",
        code_permalink="none",
    )


def write_imitation(name, kind):
    from imitation.data import serialize, types

    infos = {"CartPole-v1": {}, "Pendulum-v1": {"said": 1}}[name]
    trajectories = [
        types.TrajectoryWithRew(obs=o, acts=a, infos=np.array([infos] * len(a)), terminal=False, rews=r)
        for o, a, r in episodes(name)
    ]
    serialize.save(HERE / "imitation" / kind, trajectories)
    # The older form, which imitation 1.0 reads and no longer writes: field by field, joined, with the places to split.
    joined = {
        field: np.concatenate([getattr(t, field) for t in trajectories]) for field in ("obs", "acts", "rews", "infos")
    }
    ends = np.cumsum([len(t) for t in trajectories])[:-1]
    np.savez_compressed(HERE / "imitation" / f"{kind}.npz", **joined, indices=ends, terminal=np.array([False, False]))


if __name__ == "__main__":
    for environment, short in KINDS.items():
        write_minari(environment, short)
        write_imitation(environment, short)
