"""The configuration of an adversarial training."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import final

from bilevel.errors import ConfigurationError
from tasks.names import look_up
from tasks.settings import check_types
from tasks.vision import tables
from tasks.vision.datasets import DATASETS
from tasks.vision.methods import METHODS


@final
@dataclass(frozen=True)
class DROConfig:
    """Train a classifier that withstands perturbed images.

    Lengths of attacks are in multiples of eps, so that they go with it.

    Raises:
        ConfigurationError: for a value out of range or an unknown name, listing the known ones.
    """

    data: str = "digits"
    """The data set: digits."""

    method: str = "grad-l2l"
    """What the training images are perturbed by: plain (nothing), fgsm, fgsm-rs (random start), warm-fgsm (start
    where the last attack on the image ended), pgm, or a learned attacker: naive-l2l, grad-l2l, grad-only-l2l,
    2-step-l2l, 2-step-grad-only-l2l, k-step-l2l, warm-l2l."""

    eps: float = 0.2
    """The largest change of a pixel, in units of the pixel range [0, 1]."""

    reach: float = 1.0
    """The radius while training, in multiples of eps: a classifier that learns from somewhat larger perturbations may
    withstand those of eps better."""

    model: str = "small"
    """The classifier: small (three convolutions) or wide-resnet."""

    width: int | None = None
    """Channels of the first layers of small (by default 32), or the widening factor of wide-resnet (by default 10)."""

    depth: int = 34
    """Depth of wide-resnet, 6n + 4."""

    dropout: float = 0.0
    """Share of the features that wide-resnet drops inside a block while it learns, in [0, 1)."""

    epochs: int = 40
    """How often the training images are gone through."""

    batch_size: int = 64
    """Images a step."""

    lr: float = 0.1
    """The classifier's learning rate at the beginning (stochastic gradient descent)."""

    momentum: float = 0.9
    """The classifier's momentum, in [0, 1)."""

    weight_decay: float = 2e-4
    """The classifier's weight decay."""

    schedule: str = "cosine"
    """How the classifier's learning rate falls: cosine (to 0 at the end), steps (at the milestones) or constant."""

    warmup: float = 0.0
    """The share of the training in which the learning rate rises from 0, in [0, 1)."""

    milestones: tuple[int, ...] = (30, 60, 90)
    """With the schedule steps: the epochs after which the learning rate falls."""

    decay: float = 0.1
    """With the schedule steps: what the learning rate is multiplied by at a milestone."""

    pgm_steps: int = 10
    """With pgm: the number of its steps."""

    pgm_step: float = 0.25
    """With pgm: the length of a step, in multiples of eps."""

    pgm_start: str = "center"
    """With pgm: where it begins: center (the clean image), uniform or gaussian (a random point around it)."""

    pgm_start_size: float = 1.0
    """With pgm: the radius of the uniform start or the standard deviation of the gaussian, in multiples of eps."""

    pgm_norm: str = "eval"
    """With fgsm, fgsm-rs and pgm: the batch norm while the attack is made: eval (running statistics), train (batch
    statistics, and the running ones absorb them) or batch (batch statistics, the running ones stay)."""

    pgm_beta: float | None = None
    """With fgsm, fgsm-rs and pgm: learn the clean images too, with weight 1, and the perturbed ones with this weight;
    None: the perturbed ones alone."""

    attacker: str | None = None
    """The learned attacker's network: small, wide (the paper's Table 1), wide-code (as in its code) or slim; None: the
    method's own, which is a small one."""

    attacker_width: int = 16
    """With attacker small: its channels."""

    attacker_depth: int = 2
    """With attacker small: how many convolutions it has before the last."""

    attacker_skip: bool = False
    """With attacker small: whether its last layer sees the input again."""

    attacker_base: float | None = None
    """The length of a sign-gradient step to which the attacker's output is added, in multiples of eps; None: the
    method's own, which for all but warm-l2l is no step."""

    attacker_scale: float | None = None
    """The largest change of a pixel by the attacker in one step, in multiples of eps; None: the method's own."""

    attacker_gradient: str | None = None
    """How the gradient is scaled for the attacker: raw (of each image's own loss), batch-max (the batch's largest entry
    becomes 1), sample-rms (each image's root mean square becomes 1), sign or log-sign; None: the method's own, which is
    sample-rms (warm-l2l sees the sign too)."""

    attacker_start: str = "center"
    """Where the learned attack begins: center (the clean image), uniform or gaussian (a random point around it)."""

    attacker_start_size: float = 1.0
    """The radius of its uniform start or the standard deviation of the gaussian, in multiples of eps."""

    attacker_norm: str = "eval"
    """The classifier's batch norm while the learned attack is made: eval, train or batch, as for pgm_norm."""

    attacker_lr: float = 1e-3
    """The attacker's learning rate (Adam), which stays as it is."""

    attacker_betas: tuple[float, float] = (0.9, 0.999)
    """Adam's decay rates for the attacker, each in [0, 1)."""

    attacker_weight_decay: float = 2e-4
    """The attacker's weight decay."""

    attacker_loss: str = "last"
    """What the attacker is trained for: last (the loss at its last image) or summed (over all of its steps)."""

    play: str = "simultaneous"
    """Who moves when: simultaneous (one backward pass for both), leader-first or follower-first (the second sees the
    first's move, on images made anew), or leader-first-same-answer or follower-first-same-answer (on the same images).
    """

    k_steps: int = 3
    """With k-step-l2l: the number of the attacker's steps."""

    warm: float = 0.5
    """With warm-fgsm and warm-l2l, whose attacks begin where the last on the same image ended: the length of the step
    along the sign of the gradient there, in multiples of eps."""

    k_scale: float = 0.5
    """With k-step-l2l: the largest change of a pixel in one step, in multiples of eps."""

    seed: int = 0
    """What the split of the data, the first weights, the order of the images and the random starts depend on."""

    device: str = "auto"
    """Where to train: auto (the fastest that is there), cpu, cuda or mps."""

    precision: str = "32-true"
    """The numbers' precision: 32-true or bf16-mixed."""

    threads: int | None = None
    """How many CPU cores PyTorch uses; None leaves it as it is."""

    def __post_init__(self) -> None:
        check_types(self)
        self._check_names()
        self._check_numbers()
        if self.model == "wide-resnet" and (self.depth < 10 or (self.depth - 4) % 6):
            raise ConfigurationError(
                f"depth of wide-resnet must be 10, 16, 22, 28, 34, ... (6n + 4), got {self.depth}."
            )

    def _check_names(self) -> None:
        look_up(DATASETS, self.data, "data set")
        look_up(METHODS, self.method, "method")
        look_up(tables.MODELS, self.model, "model")
        look_up(tables.SCHEDULES, self.schedule, "schedule")
        look_up(tables.STARTS, self.pgm_start, "start")
        look_up(tables.STARTS, self.attacker_start, "start")
        look_up(tables.NORM_MODES, self.pgm_norm, "batch-norm mode")
        look_up(tables.NORM_MODES, self.attacker_norm, "batch-norm mode")
        if self.attacker is not None:
            look_up(tables.ATTACKERS, self.attacker, "attacker")
        if self.attacker_gradient is not None:
            look_up(tables.PREPROCESSES, self.attacker_gradient, "scaling of the attacker's gradient")
        look_up(tables.RULE_LOSSES, self.attacker_loss, "loss of the attacker")
        look_up(tables.PLAYS, self.play, "play")
        look_up(tables.DEVICES, self.device, "device")
        look_up(tables.PRECISIONS, self.precision, "precision")

    def _check_numbers(self) -> None:
        positive = (
            "eps", "reach", "epochs", "batch_size", "lr", "decay", "pgm_steps", "pgm_step", "pgm_start_size",
            "attacker_width", "attacker_depth", "attacker_start_size", "attacker_lr", "k_steps", "k_scale",
        )  # fmt: skip
        for name in (
            *positive,
            *(
                n
                for n in ("width", "pgm_beta", "threads", "attacker_base", "attacker_scale")
                if getattr(self, n) is not None
            ),
        ):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name} must be above 0, got {getattr(self, name)}.")
        for name in ("weight_decay", "attacker_weight_decay", "warm", "seed"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name} must be at least 0, got {getattr(self, name)}.")
        if self.seed >= 2**63:
            raise ConfigurationError(f"seed must be below 2**63, got {self.seed}.")
        cores = os.cpu_count() or 1
        if self.threads is not None and self.threads > cores:
            raise ConfigurationError(f"threads must be at most the number of cores, {cores}; got {self.threads}.")
        if self.eps > 1:
            raise ConfigurationError(
                f"eps is in units of the pixel range [0, 1], got {self.eps}: 8 grey levels out of 255 are 0.0314."
            )
        for name in ("momentum", "dropout", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigurationError(f"{name} must be in [0, 1), got {getattr(self, name)}.")
        if not all(0 <= beta < 1 for beta in self.attacker_betas):
            raise ConfigurationError(f"attacker_betas must be in [0, 1), got {self.attacker_betas}.")
        if any(a >= b for a, b in zip((0, *self.milestones), self.milestones, strict=False)):
            raise ConfigurationError(f"milestones must be ascending epochs from 1, got {self.milestones}.")
