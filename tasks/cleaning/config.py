"""The configuration of hyper-cleaning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import final

from bilevel.errors import ConfigurationError
from bilevel.hypergradient import Hypergradient
from tasks.cleaning.baselines import BASELINES
from tasks.cleaning.data import SOURCES, Sizes
from tasks.cleaning.methods import EPISODIC, LARGE, METHODS, MethodSettings
from tasks.names import look_up
from tasks.settings import check_types

MODELS = {"linear": 0.0, "mlp": 0.1}
"""The classifiers by name, each with the usual damping of its Hessian."""
FOLLOWERS = {"lives-on": True, "anew": False}


@final
@dataclass(frozen=True)
class CleaningConfig:
    """Find the training samples with a wrong label, by every hypergradient, side by side.

    Raises:
        ConfigurationError: for a value out of range or an unknown name, listing the known ones.
    """

    data: str = "digits"
    """The data set: digits (of scikit-learn; no files) or mnist."""

    data_dir: str | None = None
    """The folder of MNIST's four files; by default the one that the environment variable BILEVEL_DATA names, or the
    usual cache, into which they are downloaded."""

    train: int | None = None
    """Training samples; by default 5,000 of MNIST, 600 of the digits."""

    validation: int | None = None
    """Validation samples, which the leader judges by; by default 5,000 of MNIST, 400 of the digits."""

    held_out: int | None = None
    """Samples that nobody learns from, to choose settings by; by default 5,000 of MNIST, 437 of the digits."""

    noise: float = 0.5
    """The share of the training samples that get a wrong label, drawn from the other classes."""

    models: tuple[str, ...] = tuple(MODELS)
    """The classifiers: linear and mlp (a perceptron of tanh units)."""

    hidden: tuple[int, ...] = (64,)
    """Units of the mlp's hidden layers."""

    methods: tuple[str, ...] | None = None
    """Which hypergradients to compare: unrolled, checkpointed, truncated, finite-difference, conjugate-gradient,
    neumann, fixed-point, value-function, evolution, persistent-evolution (for a follower that lives on) and dense
    (which holds a matrix of the classifier's weights squared); by default all that fit the follower but dense."""

    baselines: tuple[str, ...] = tuple(BASELINES)
    """What to compare with: a classifier trained on all of noisy, validation, noisy-and-validation; and, with the right
    labels, of clean and clean-and-validation."""

    steps: int = 100
    """The leader's steps."""

    inner_steps: int = 10
    """The follower's updates a step of the leader. A baseline makes as many in all."""

    follower: str = "lives-on"
    """Whether the follower goes on from its last weights at each step of the leader (lives-on), or starts anew
    (anew)."""

    rate: float = 0.1
    """The leader's learning rate (Adam)."""

    inner_rate: float = 0.5
    """The follower's learning rate (gradient descent)."""

    penalty: float = 1e-3
    """c, the price of the classifier's squared weights."""

    batch_size: int | None = None
    """Training and validation samples a step, drawn at random; by default all."""

    truncation: int = 5
    """With truncated: how many of the last updates are differentiated through."""

    terms: int = 20
    """With conjugate-gradient, neumann and fixed-point: how many products with the Hessian they make at most."""

    damping: float | None = None
    """With conjugate-gradient and dense: what is added to the Hessian; by default 0.1 for the mlp, whose Hessian has
    negative eigenvalues, and nothing for the linear classifier."""

    multiplier: float = 10.0
    """With value-function: λ, the weight of the follower's loss above its least value."""

    sigma: float = 1.0
    """With evolution and persistent-evolution: the standard deviation of the logits that are tried."""

    pairs: int = 5
    """With evolution and persistent-evolution: how many pairs of logits are tried at each step."""

    episode: int = 20
    """With persistent-evolution: after how many of the leader's steps the follower begins anew."""

    evaluate_every: int = 10
    """Measure accuracies after so many of the leader's steps, of which steps must be a multiple."""

    seeds: tuple[int, ...] = (0,)
    """One comparison for each: the parts of the data, the wrong labels and the first weights depend on it."""

    def __post_init__(self) -> None:
        check_types(self)
        look_up(SOURCES, self.data, "data set")
        look_up(FOLLOWERS, self.follower, "follower")
        _check_choice("model", self.models, MODELS)
        _check_choice("baseline", self.baselines, BASELINES, none=True)
        for name in ("train", "validation", "held_out", "batch_size", "steps", "inner_steps", "rate", "inner_rate",
                     "truncation", "terms",
                     "pairs", "episode", "evaluate_every"):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigurationError(f"{name} must be above 0, got {value}.")
        if not 0 <= self.noise <= 1:
            raise ConfigurationError(f"noise is a share in [0, 1], got {self.noise}.")
        if self.penalty < 0:
            raise ConfigurationError(f"penalty must be at least 0, got {self.penalty}.")
        if any(units < 1 for units in self.hidden) or not self.hidden:
            raise ConfigurationError(f"hidden must hold numbers of units from 1, got {list(self.hidden)}.")
        if self.steps % self.evaluate_every:
            raise ConfigurationError(
                f"steps must be a multiple of evaluate_every, got {self.steps} and {self.evaluate_every}."
            )
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or not all(0 <= s < 2**62 for s in self.seeds):
            raise ConfigurationError(f"seeds must be different numbers from 0, got {list(self.seeds)}.")
        if self.methods is not None:
            _check_choice("method", self.methods, METHODS, none=bool(self.baselines))
        if not self.lives_on and EPISODIC in self.chosen:
            raise ConfigurationError(
                f"{EPISODIC} needs a follower that lives on: leave it out, or --follower lives-on."
            )
        for model in self.models:
            self.hypergradients(model)  # which checks the rest

    @property
    def sizes(self) -> Sizes:
        """How many samples each part has."""
        usual = SOURCES[self.data].sizes
        chosen = {part.name: getattr(self, part.name) for part in fields(Sizes)}
        return Sizes(**{name: getattr(usual, name) if count is None else count for name, count in chosen.items()})

    @property
    def lives_on(self) -> bool:
        """Whether the follower lives on."""
        return FOLLOWERS[self.follower]

    @property
    def chosen(self) -> tuple[str, ...]:
        """The names of the methods to compare."""
        if self.methods is not None:
            return self.methods
        return tuple(name for name in METHODS if name != LARGE and (self.lives_on or name != EPISODIC))

    def hypergradients(self, model: str) -> dict[str, Hypergradient]:
        """Return all hypergradients by name, as they are set here for a classifier.

        Args:
            model: the classifier's name.

        Raises:
            ConfigurationError: if a setting of one is out of its range.
        """
        settings = {field.name: getattr(self, field.name) for field in fields(MethodSettings)}
        if self.damping is None:
            settings["damping"] = MODELS[model]
        return MethodSettings(**settings).hypergradients()


def _check_choice(what: str, given: Sequence[str], known: Iterable[str], *, none: bool = False) -> None:
    table = dict.fromkeys(known)
    for one in given:
        look_up(table, one, what)
    if len(set(given)) < len(given) or not (given or none):
        raise ConfigurationError(f"Name at least one {what}, each once; got {list(given)}.")


PRESETS: dict[str, CleaningConfig] = {
    "digits": CleaningConfig(),
    "mnist": CleaningConfig(data="mnist"),
}
"""Configurations by name."""

DEFAULT = "digits"
"""The preset that the command line begins with."""
