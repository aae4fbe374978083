"""Attacks that are written by hand, as training makes them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tasks.names import look_up
from tasks.vision import tables
from tasks.vision.config.group import SettingsGroup
from tasks.vision.games import Mixed, Trades
from tasks.vision.methods import SignSteps, Stability


@dataclass(frozen=True)
class HandWrittenSettings(SettingsGroup):
    """The attacks of fgsm, fgsm-rs, pgm and trades, and the noise of stability."""

    pgm_steps: int = 10
    """With pgm and trades: the number of its steps."""

    pgm_step: float = 0.25
    """With pgm and trades: the length of a step, in multiples of eps."""

    pgm_start: str | None = None
    """With pgm and trades: where it begins: center (the clean image), uniform or gaussian (a random point around it,
    projected), or uniform-unprojected (one that may lie outside [0, 1] until the first step is done); None: the
    method's own, which is center for pgm, as the paper prints it, and for trades a gaussian of 0.001 at eps 0.031."""

    pgm_start_size: float = 1.0
    """With a pgm_start: the radius of the uniform start or the standard deviation of the gaussian, in multiples of
    eps."""

    pgm_norm: str = "eval"
    """With fgsm, fgsm-rs, pgm and trades: the batch norm while the attack is made: eval (running statistics), train
    (batch statistics, and the running ones absorb them) or batch (batch statistics, the running ones stay)."""

    pgm_beta: float | None = None
    """With fgsm, fgsm-rs and pgm: learn the clean images too, with weight 1, and the perturbed ones with this weight;
    None: the perturbed ones alone."""

    trades_beta: float = 6.0
    """With trades: what disagreement with the clean image costs, where a wrong clean image costs 1."""

    stability_alpha: float = 0.01
    """With stability: what disagreement with the clean image costs, where a wrong clean image costs 1."""

    stability_noise: float = 0.04
    """With stability: the standard deviation of the noise, in units of the pixel range [0, 1]."""

    def by_hand(self, method: SignSteps, *, own_steps: bool) -> SignSteps:
        """Return ``method`` with these settings.

        Args:
            method: a method of the table.
            own_steps: whether number, length and start of its steps are settings.
        """
        method = replace(method, norm=tables.NORM_MODES[self.pgm_norm])
        if isinstance(method.game, Trades):
            method = replace(method, game=Trades(self.trades_beta))
        elif self.pgm_beta is not None:
            method = replace(method, game=Mixed(self.pgm_beta))
        if own_steps:
            method = replace(method, steps=self.pgm_steps, step=self.pgm_step)
            if self.pgm_start is not None:
                method = replace(method, start=tables.STARTS[self.pgm_start](self.pgm_start_size))
        return method

    def noisy(self, method: Stability) -> Stability:
        """Return ``method`` with these settings."""
        return replace(method, alpha=self.stability_alpha, noise=self.stability_noise)

    def check(self) -> None:
        """Raise `ConfigurationError` for an unknown name or a number out of range."""
        if self.pgm_start is not None:
            look_up(tables.STARTS, self.pgm_start, "start")
        look_up(tables.NORM_MODES, self.pgm_norm, "batch-norm mode")
        self.check_positive("pgm_steps", "pgm_step", "pgm_start_size", "pgm_beta")
        self.check_positive("trades_beta", "stability_alpha", "stability_noise")
