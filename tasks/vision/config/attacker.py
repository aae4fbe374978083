"""The learned attacker."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import torch

from bilevel.errors import ConfigurationError
from tasks.names import look_up
from tasks.vision import tables
from tasks.vision.config.group import SettingsGroup
from tasks.vision.methods import L2L
from tasks.vision.methods.learned import with_preprocess


@dataclass(frozen=True)
class AttackerSettings(SettingsGroup):
    """The attacker of the methods that learn one, and how it is trained."""

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
    """The length of a sign-gradient step to which the attacker's output is added, in multiples of eps, 0 for no step;
    None: the method's own, which for all but warm-l2l and teacher-l2l is no step."""

    attacker_scale: float | None = None
    """The largest change of a pixel by the attacker in one step, in multiples of eps; None: the method's own."""

    attacker_gradient: str | None = None
    """How the gradient is scaled for the attacker: raw (of each image's own loss), batch-max (the batch's largest entry
    becomes 1), sample-rms (each image's root mean square becomes 1), sign or log-sign; None: the method's own, which is
    sample-rms (warm-l2l sees the sign too)."""

    attacker_start: str | None = None
    """Where the learned attack begins: center (the clean image), uniform or gaussian (a random point around it,
    projected), or uniform-unprojected (one that may lie outside [0, 1] until the first step is done); None: the
    method's own, which is center, as in the paper, for all but teacher-l2l."""

    attacker_start_size: float = 1.0
    """With an attacker_start: the radius of the uniform start or the standard deviation of the gaussian, in multiples
    of eps."""

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

    k_scale: float = 0.5
    """With k-step-l2l: the largest change of a pixel in one step, in multiples of eps."""

    @property
    def k_step_label(self) -> str:
        """The name of k-step-l2l in tables."""
        # A 2-step-l2l trains through its steps, a k-step-l2l of 2 steps does not: the names must differ.
        return "k-step-l2l-2" if self.k_steps == 2 else f"{self.k_steps}-step-l2l"

    def equipped(self, method: L2L, *, own_steps: bool) -> L2L:
        """Return ``method`` with these settings.

        Args:
            method: a method of the table.
            own_steps: whether number and reach of its steps are settings.
        """
        method = replace(
            method,
            norm=tables.NORM_MODES[self.attacker_norm],
            play=tables.PLAYS[self.play],
            rule_loss=tables.RULE_LOSSES[self.attacker_loss],
            optimizer=partial(
                torch.optim.Adam,
                lr=self.attacker_lr,
                betas=self.attacker_betas,
                weight_decay=self.attacker_weight_decay,
            ),
        )
        if self.attacker_start is not None:
            method = replace(method, start=tables.STARTS[self.attacker_start](self.attacker_start_size))
        if self.attacker_gradient is not None:
            preprocess = tables.PREPROCESSES[self.attacker_gradient]
            method = replace(method, inputs=with_preprocess(method.inputs, preprocess))
        if self.attacker is not None:
            make = tables.ATTACKERS[self.attacker]
            network = make(self.attacker_width, self.attacker_depth, self.attacker_skip)
            method = replace(method, network=network)
        if own_steps:
            method = replace(method, steps=self.k_steps, scale=self.k_scale)
        return replace(
            method,
            base=method.base if self.attacker_base is None else self.attacker_base or None,
            scale=method.scale if self.attacker_scale is None else self.attacker_scale,
        )

    def check(self) -> None:
        """Raise `ConfigurationError` for an unknown name or a number out of range."""
        if self.attacker_start is not None:
            look_up(tables.STARTS, self.attacker_start, "start")
        look_up(tables.NORM_MODES, self.attacker_norm, "batch-norm mode")
        if self.attacker is not None:
            look_up(tables.ATTACKERS, self.attacker, "attacker")
        if self.attacker_gradient is not None:
            look_up(tables.PREPROCESSES, self.attacker_gradient, "scaling of the attacker's gradient")
        look_up(tables.RULE_LOSSES, self.attacker_loss, "loss of the attacker")
        look_up(tables.PLAYS, self.play, "play")
        self.check_positive(
            "attacker_width", "attacker_depth", "attacker_start_size", "attacker_lr", "attacker_scale",
            "k_steps", "k_scale",
        )  # fmt: skip
        self.check_not_negative("attacker_weight_decay", "attacker_base")
        if not all(0 <= beta < 1 for beta in self.attacker_betas):
            raise ConfigurationError(f"attacker_betas must be in [0, 1), got {self.attacker_betas}.")
