"""Imitate an expert on CartPole with episodes of fixed length, by a discriminator whose update is learned.

Run it with ``python examples/cartpole_gail.py`` (about a minute; it needs the extra ``rl``). The leader is a policy
that TRPO moves, the follower the weights z of a discriminator that lives on through the run:

    follower:  min over z   mean over the policy's pairs of log(1 + e^s) + mean over the expert's of log(1 + e^-s)
    leader:    TRPO, with the rewards log(1 + e^s) of the pairs

s is the discriminator's logit of a state-action pair. Its rule is a gradient step with a learned, bounded correction.
Every episode has 500 steps, whether the pole stands or not: so the reward's sign says nothing, and a discriminator that
does not move (method="frozen") teaches nothing. On plain CartPole it would teach everything.
"""

import numpy as np
import torch

import bilevel
from bilevel.learned import MLP, BoundedResidual
from bilevel.rules import Gradient
from tasks.gail.algorithms import make_algorithm
from tasks.gail.batches import RolloutBatches
from tasks.gail.config import GAILConfig
from tasks.gail.demonstrations import shipped
from tasks.gail.discriminator import Discriminator
from tasks.gail.environments import make
from tasks.gail.features import Features
from tasks.gail.learner import Learner
from tasks.gail.rewards import Survival
from tasks.gail.task import Imitation


def main(iterations: int = 150, steps: int = 2048) -> list[float]:
    """Train, and return the mean true return of each iteration in which an episode ended."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 (TRPO draws its batches from it)
    environments = make("CartPole-v1", count=4, seed=0, horizon=500)
    expert = shipped("CartPole-v1", horizon=500)

    # The leader: any on-policy algorithm of stable-baselines3 will do.
    algorithm = make_algorithm(GAILConfig(environments=4, steps=steps), environments)

    # The follower, and what its loss is.
    features = Features.of(environments.observation_space, environments.action_space)
    discriminator = Discriminator(features.size)
    task = Imitation(discriminator, leader=algorithm.policy)

    # How the follower's answer becomes rewards.
    reward = Survival()
    learner = Learner(
        algorithm,
        environments,
        lambda batch, z: reward(discriminator.logits(z, batch.policy)),
        iterations=iterations,
        seed=0,
    )

    # How the follower moves: -0.5 times the gradient, corrected by at most 0.02 a weight.
    rule = BoundedResidual(MLP(1, (32, 32), zero_last=True), base=Gradient(0.5), limit=0.02)
    solver = bilevel.Solver(
        task,
        rule,
        leader_optimizer=learner,
        rule_optimizer=torch.optim.Adam(rule.parameters(), lr=1e-3),
        rule_loss=bilevel.Proximal(1.0),
        play=bilevel.FollowerFirst(follower_updates=3),
    )

    batches = RolloutBatches(learner, task, features, features.rows(expert.observations, expert.actions))
    returns: list[float] = []
    for iteration in range(1, iterations + 1):
        for batch in batches:  # the policy plays
            solver.step(batch)
        numbers = learner.numbers
        if "return" in numbers:
            returns.append(numbers["return"])
            if iteration % 10 == 0:
                print(f"iteration {iteration}: return {returns[-1]:.0f}, |z| {numbers['discriminator_norm']:.1f}")
    return returns


if __name__ == "__main__":
    main()
