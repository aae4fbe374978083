"""The configuration of imitation learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from tasks.gail.config_check import check
from tasks.gail.updaters import UpdaterSettings


@final
@dataclass(frozen=True)
class GAILConfig:
    """Imitate an expert from demonstrations, with a discriminator that is moved by any rule.

    Raises:
        ConfigurationError: for a value out of range or an unknown name, listing the known ones.
    """

    env: str = "CartPole-v1"
    """The environment: any id of gymnasium with observations of numbers."""

    horizon: int | None = None
    """Let every episode take so many steps: after its end the state stays as it is, with rewards of 0. So neither the
    sign of the reward nor the length of an episode says how to play. None: episodes as the environment has them."""

    demonstrations: str | None = None
    """Demonstrations: a file (.npz, as bilevel train gail-expert writes it), or the folder of a data set of Minari or
    of trajectories of the imitation package; by default those that come with the package, for CartPole-v1 and
    MountainCar-v0."""

    trajectories: int | None = None
    """Use so many of the demonstrated episodes; by default all."""

    expert_batch: int | None = None
    """Show the discriminator so many of the expert's pairs an iteration, drawn at random; by default all, in random
    order."""

    method: str = "gail"
    """Who moves the discriminator: gail (a hand-written rule), l2l (a rule that learns), or a control: base (the base
    step of l2l's rule alone), frozen (nobody: it stays at one half)."""

    updater: str | None = None
    """The rule that moves the discriminator. With gail: adam (the default), sgd, momentum, adamw, adamax, adagrad,
    adadelta, radam or rmsprop. With l2l and base: coordinate-wise (the default), lstm, per-layer, low-rank, paper,
    paper-factored, paper-proximal or paper-literal."""

    updater_rate: float | None = None
    """The rate of a hand-written rule, or of the Adam that trains one that learns; by default the rule's own."""

    updater_step: float = 0.5
    """With l2l and base: α, the size of the gradient step that the rule corrects."""

    updater_limit: float = 0.02
    """With l2l: c, the largest correction of a weight."""

    updater_hidden: tuple[int, ...] | None = None
    """With l2l: units of the rule's hidden layers; by default the rule's own."""

    updater_rank: int = 16
    """With the updater low-rank: its rank."""

    updater_bound: float = 1e3
    """The largest norm of the discriminator's weights; beyond it the training ends with an error."""

    proximal: float = 1.0
    """With l2l: the price on the rule's steps, as the rule's loss has it; 0 for the paper's loss, which has none."""

    fresh: bool = False
    """Take the gradient that any rule sees on one half of the pairs, and the loss that a rule of l2l is trained for on
    the other."""

    discriminator_steps: int = 1
    """How often the discriminator moves an iteration; a rule that learns does so after each."""

    unroll: int = 1
    """How many updates of the rule make a move; a rule that learns is trained through all of them."""

    hidden: tuple[int, ...] = (64, 32)
    """Units of the discriminator's hidden layers."""

    reward: str = "survival"
    """What the policy gets for a pair with the probability D of being the expert's: survival, -log(1 - D), never
    negative; haste, log D, never positive; logit, their difference."""

    entropy_bonus: float = 1e-3
    """The weight of the discriminator's entropy, which keeps it unsure (Ho and Ermon's code: 0.001)."""

    gradient_penalty: float = 0.0
    """The weight of a price on the discriminator's slopes between both players' pairs (10 is usual); 0 for none."""

    spectral_norm: bool = False
    """Divide each matrix of the discriminator by its largest singular value."""

    normalise: bool = False
    """Show the discriminator observations and continuous actions relative to the mean and spread of all pairs yet."""

    algorithm: str = "trpo"
    """What moves the policy: trpo (sb3-contrib), ppo or a2c (stable-baselines3)."""

    policy_hidden: tuple[int, ...] = (100, 100)
    """Units of the hidden layers of the policy and of the value function, of tanh (Ho and Ermon: 100 and 100)."""

    standardise: bool = False
    """Show the policy observations relative to the mean and spread of all that it has met."""

    gamma: float = 0.995
    """γ, the discount."""

    gae_lambda: float = 0.97
    """λ of the advantages."""

    kl: float = 0.01
    """With trpo: the largest mean divergence of the policy from the last one, in nats."""

    damping: float = 0.1
    """With trpo: what is added to the Fisher matrix."""

    cg_steps: int = 10
    """With trpo: steps of conjugate gradient."""

    learning_rate: float | None = None
    """The rate of Adam for the value function and, with ppo and a2c, for the policy; by default 1e-3 with trpo, 3e-4
    with ppo, 7e-4 (of RMSprop) with a2c."""

    batch_size: int = 128
    """With trpo and ppo: pairs a step of that optimizer."""

    passes: int = 10
    """With trpo and ppo: how often it goes through an iteration's pairs."""

    policy_entropy: float = 0.0
    """With ppo and a2c: the weight of the policy's entropy."""

    environments: int = 8
    """How many environments stand side by side."""

    vectorised: bool | None = None
    """Whether they are ours in NumPy (CartPole-v1, MountainCar-v0) or gymnasium's own; by default ours where there are
    any."""

    steps: int = 2048
    """Environment steps an iteration, over all environments."""

    iterations: int = 200
    """How many iterations."""

    evaluate_every: int | None = None
    """Play fresh episodes with the policy after so many iterations; by default only at the end."""

    evaluation_episodes: int = 20
    """How many episodes that is."""

    deterministic: bool = False
    """Let the policy take its likeliest action in them, in place of drawing one."""

    seed: int = 0
    """The seed of everything."""

    threads: int | None = 1
    """How many CPU cores PyTorch uses; the networks are too small to gain from more. None: as many as there are."""

    def __post_init__(self) -> None:
        check(self)

    @property
    def learns(self) -> bool:
        """Whether the rule that is named is one that learns; the control ``base`` names the rule it belongs to."""
        return self.method in {"l2l", "base"}

    @property
    def updater_settings(self) -> UpdaterSettings:
        """The settings of the discriminator's rule; for the control ``base`` those of the rule it belongs to."""
        return UpdaterSettings(
            name=self.updater or ("coordinate-wise" if self.learns else "adam"),
            rate=self.updater_rate,
            step=self.updater_step,
            limit=self.updater_limit,
            proximal=self.proximal,
            hidden=self.updater_hidden,
            rank=self.updater_rank,
            bound=self.updater_bound,
            unroll=self.unroll,
        )

    @property
    def label(self) -> str:
        """The training's name, in a word."""
        name = self.env.replace("/", "_")
        return f"{name if self.horizon is None else f'{name}-fixed'}-{self.method}"
