"""The configuration of a rule that learns to train networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from bilevel.errors import ConfigurationError
from tasks.meta.attack import ATTACKS
from tasks.meta.data import QUADRATICS
from tasks.meta.estimators import estimators
from tasks.meta.networks import ACTIVATIONS
from tasks.meta.task import require_updates
from tasks.names import look_up
from tasks.settings import check_types
from tasks.vision.datasets import DATASETS

MODELS = ("perceptron", "convolutional", "logistic")
SHOWN = {"clean": "the gradient of clean images", "judged": "the gradient of what it is judged by"}


@final
@dataclass(frozen=True)
class MetaConfig:
    """Train a rule that trains networks, on adversarial examples too.

    Raises:
        ConfigurationError: for a value out of range or an unknown name, listing the known ones.
    """

    data: str = "digits"
    """The data: digits (of scikit-learn; no files), mnist, cifar10 or another set of images, or quadratics."""

    data_dir: str | None = None
    """The folder of the data's files; by default the one that the environment variable BILEVEL_DATA names, or the usual
    cache, into which they are downloaded."""

    test_images: int | None = None
    """How many of the test images are kept, the first ones; by default all."""

    model: str = "perceptron"
    """The network: perceptron, convolutional (three convolutions with batch norm) or logistic."""

    hidden: tuple[int, ...] = (20,)
    """Units of the perceptron's hidden layers; of convolutional the one hidden layer behind the convolutions."""

    width: int = 16
    """Channels of the convolutions."""

    activation: str = "relu"
    """The units: relu, tanh, sigmoid or elu."""

    batch_size: int = 128
    """Images a gradient."""

    eps: float = 0.1
    """ε, the radius of the attack, for pixels in [0, 1]. The paper has 0.05, 0.1, 0.2 and 0.3."""

    attack: str = "fgsm"
    """What makes adversarial examples: fgsm, pgm (7 steps of ε/4) or pgm-paper (7 steps of ε, as the paper prints)."""

    alpha: float = 0.5
    """α, the share of the clean loss in what the rule is judged by. 1 is a rule that never sees an adversarial example.
    The paper has 0.5, and 0 with pgm."""

    shown: str = "clean"
    """Which gradient the rule sees while it learns: clean (as later, at the transfer) or judged (of the loss that it is
    judged by, as in the paper)."""

    rule_hidden: int = 20
    """Units of a layer of the rule's LSTM, of which there are two."""

    preprocess: float = 10.0
    """p, by which the logarithm of a gradient's size is divided."""

    weight_input: float = 10.0
    """Show the rule each weight too, times this; 0 for the gradient alone, as in the paper."""

    update_scale: float = 0.01
    """What the rule's output is multiplied by."""

    groups: tuple[str, ...] = ("*",)
    """One rule for the weights whose names match each of these patterns (convolutions*, *)."""

    estimator: str = "first-order"
    """How the rule's gradient is estimated: first-order (back-propagation with constant gradients, as in the paper),
    second-order, evolution or persistent-evolution."""

    sigma: float = 0.01
    """With the evolution strategies: by how much the rule's parameters are moved to and fro."""

    pairs: int = 4
    """With the evolution strategies: how many pairs of moved rules a window has."""

    truncation: int = 20
    """Updates of the network after which the rule moves."""

    horizon: int = 100
    """Updates of an episode, after which the network begins anew at random."""

    first_horizon: int | None = None
    """Updates of the first episodes, which then grow; by default the horizon."""

    growth: float = 0.5
    """The share of the training in which episodes grow."""

    ramp: float = 0.5
    """The share of the training in which the attack's radius grows from 0 to ε; 0 for ε from the beginning."""

    windows: int = 1000
    """How often the rule moves in all: 1,000 windows of 20 updates are 200 episodes of 100."""

    rate: float = 3e-3
    """The rate of the Adam that moves the rule, which falls to a twentieth along a cosine. The paper has 0.001."""

    clip: float = 20.0
    """The largest norm of the rule's gradient."""

    limit: float | None = None
    """The largest loss: an unroll that ends beyond it has exploded, and nothing is learned from it. By default 100, and
    a million for the sum of the quadratics."""

    windows_per_row: int = 100
    """After so many windows the log has a row."""

    seed: int = 0
    """The seed of everything."""

    device: str = "cpu"
    """Where it is done: cpu or cuda."""

    threads: int | None = 1
    """How many CPU cores PyTorch uses; None: as many as there are."""

    def __post_init__(self) -> None:
        check_types(self)
        look_up({**DATASETS, QUADRATICS: None}, self.data, "data set")
        look_up(dict.fromkeys(MODELS), self.model, "model")
        look_up(ACTIVATIONS, self.activation, "activation")
        look_up(ATTACKS, self.attack, "attack")
        look_up(SHOWN, self.shown, "gradient to be shown")
        look_up(dict.fromkeys(("cpu", "cuda")), self.device, "device")
        look_up(estimators(self.sigma, self.pairs), self.estimator, "estimator")
        for name in ("test_images", "width", "batch_size", "eps", "rule_hidden", "preprocess", "truncation", "horizon",
                     "first_horizon", "windows", "rate", "clip", "limit", "windows_per_row", "threads"):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigurationError(f"{name} must be above 0, got {value}.")
        if self.rate > 1e3:
            raise ConfigurationError(f"rate must be at most 1000, got {self.rate:g}; the paper has 0.001.")
        for name in ("alpha", "growth", "ramp"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(f"{name} must lie in [0, 1], got {getattr(self, name)}.")
        if not self.groups or len(set(self.groups)) < len(self.groups):
            raise ConfigurationError(f"groups are patterns of names, at least one, each once; got {list(self.groups)}.")
        if self.model == "convolutional" and len(self.hidden) != 1:
            raise ConfigurationError(f"convolutional has one hidden layer, got hidden={list(self.hidden)}.")
        if self.data == QUADRATICS and self.alpha < 1:
            raise ConfigurationError("Quadratics have no images to perturb: set alpha to 1.")
        if self.data == QUADRATICS and self.device != "cpu":
            raise ConfigurationError(f"Quadratics are too small for {self.device}: set the device to cpu.")
        if self.windows % self.windows_per_row:
            raise ConfigurationError(
                f"windows must be a multiple of windows_per_row, got {self.windows} and {self.windows_per_row}."
            )
        require_updates(self.horizon, self.truncation)
        require_updates(self.first_horizon or self.horizon, self.truncation, "first_horizon")
        if (self.first_horizon or 0) > self.horizon:
            raise ConfigurationError(f"first_horizon {self.first_horizon} is longer than the horizon {self.horizon}.")
        if not 0 <= self.seed < 2**62:
            raise ConfigurationError(f"seed must be at least 0 and below 2**62, got {self.seed}.")

    @property
    def label(self) -> str:
        """The training's name, in a word."""
        judged = "clean" if self.alpha == 1 else f"{self.attack}-{self.eps:g}"
        return f"{self.data}-{judged}-{'paper' if self.shown == 'judged' else 'bilevel'}"
