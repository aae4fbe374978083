"""The configuration of an adversarial interpolation training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

from bilevel.errors import ConfigurationError
from tasks.names import look_up
from tasks.vision import tables
from tasks.vision.config.attacker import AttackerSettings
from tasks.vision.config.vision import VisionConfig
from tasks.vision.games import Interpolation
from tasks.vision.methods import AIT_METHODS, L2L, Method, SignSteps


@final
@dataclass(frozen=True)
class AITConfig(AttackerSettings, VisionConfig):
    """Train a classifier by adversarial interpolation: images move in feature space by one another, labels with them.

    Lengths of attacks are in multiples of eps, so that they go with it.

    Raises:
        ConfigurationError: for a value out of range or an unknown name, listing the known ones.
    """

    method: str = "ait"
    """What moves the training images: ait (steps along the sign of the feature loss's gradient), or a learned attacker:
    naive-l2l, grad-l2l, grad-only-l2l, 2-step-l2l, 2-step-grad-only-l2l, k-step-l2l."""

    play: str = "follower-first-same-answer"
    """Who moves when, with a learned attacker: follower-first-same-answer (the attacker, then the classifier on the
    same images, as the paper's Algorithm 4 and its code), follower-first or leader-first (the second sees the first's
    move, on images made anew), leader-first-same-answer, or simultaneous (one forward pass for both)."""

    feature: str = "towards"
    """What the images do to the feature of their partner: towards (lower the cosine distance; what the authors' code
    does, with which their numbers were measured) or away (lower the cosine; the paper's text)."""

    pairing: str = "reversed"
    """Which image is an image's partner: reversed (the one at its place in the batch read backwards, as the authors'
    code) or random (another one, as the paper's text)."""

    label_eps: float = 0.5
    """How far labels move away from the partner's class, in [0, 1]. The paper has 0.5, its two-step script 0.9."""

    ait_steps: int = 1
    """With ait: the number of its steps. The paper and the authors take 1."""

    ait_step: float = 1.0
    """With ait: the length of a step, in multiples of eps."""

    ait_start: str = "uniform-unprojected"
    """With ait: where it begins: uniform-unprojected (a random point of the ball, which may lie outside [0, 1] until
    the step is done, as the authors' code), uniform or gaussian (a random point, projected), or center (the clean
    image, as the paper's text)."""

    ait_start_size: float = 1.0
    """With ait: the radius of the uniform start or the standard deviation of the gaussian, in multiples of eps."""

    ait_norm: str = "eval"
    """With ait: the batch norm while the images are moved: eval (running statistics, as the authors' code), train
    (batch statistics, and the running ones absorb them) or batch (batch statistics, the running ones stay)."""

    @property
    def task(self) -> str:
        """``ait``."""
        return "ait"

    @property
    def label(self) -> str:
        """The method's name, with its number of steps."""
        if self.method == "ait":
            return "ait" if self.ait_steps == 1 else f"{self.ait_steps}-step-ait"
        return f"ait-{self.k_step_label if self.method == 'k-step-l2l' else self.method}"

    def make_method(self) -> Method:
        """Return the method."""
        game = Interpolation(self.label_eps, tables.FEATURE_LOSSES[self.feature], tables.PAIRINGS[self.pairing])
        method = AIT_METHODS[self.method]
        if isinstance(method, L2L):
            return self.equipped(replace(method, game=game), own_steps=self.method == "k-step-l2l")
        assert isinstance(method, SignSteps)
        return replace(
            method,
            game=game,
            steps=self.ait_steps,
            step=self.ait_step,
            start=tables.STARTS[self.ait_start](self.ait_start_size),
            norm=tables.NORM_MODES[self.ait_norm],
        )

    def check(self) -> None:
        """Raise `ConfigurationError` for an unknown name or a number out of range."""
        look_up(AIT_METHODS, self.method, "method of adversarial interpolation")
        look_up(tables.FEATURE_LOSSES, self.feature, "feature loss")
        look_up(tables.PAIRINGS, self.pairing, "pairing")
        look_up(tables.STARTS, self.ait_start, "start")
        look_up(tables.NORM_MODES, self.ait_norm, "batch-norm mode")
        self.check_positive("ait_steps", "ait_step", "ait_start_size")
        if not 0 <= self.label_eps <= 1:
            raise ConfigurationError(f"label_eps, how far labels move, must be in [0, 1], got {self.label_eps}.")
        if self.batch_size < 2:
            raise ConfigurationError(
                f"Adversarial interpolation moves an image by another of its batch: batch_size must be at least 2, got "
                f"{self.batch_size}."
            )
