"""Further signs of masked gradients, which numbers alone can show."""

from __future__ import annotations

import itertools
import re

from tasks.vision.masking.evidence import ALL, Evidence, percent
from tasks.vision.masking.finding import Finding, Verdict

GAP = 0.10
"""From which PGM minus AutoAttack is a warning."""

RUN_IT = (
    "AutoAttack was not run, so that every accuracy here is an upper bound: bilevel evaluate RUN --attacks AutoAttack"
)

_FEW_ZEROS = 0.01


def pgm_and_auto_attack_agree(evidence: Evidence) -> Finding:
    """PGM must not leave much more than AutoAttack does."""
    name, item = "gap", "PGM leaves at most 10 points more than AutoAttack."
    auto = next((one for one in evidence.all_that(ALL) if one.attack == "AutoAttack"), None)
    if auto is None:
        return Finding(name, item, Verdict.NOT_MEASURED, f"{RUN_IT}.")
    pgms = [one for one in evidence.iterative if re.fullmatch(r"PGM-\d+(:\w+)?", one.attack)]
    if not pgms:
        return Finding(name, item, Verdict.NOT_MEASURED, f"{auto.words}; PGM was not run.")
    best = min(pgms, key=lambda one: one.robust)
    gap = best.robust - auto.robust
    text = f"{best.words} minus {auto.words} is {percent(gap)} points."
    return Finding(name, item, Verdict.WARNING if gap > GAP else Verdict.PASSED, text)


def gradients_are_there(evidence: Evidence) -> Finding:
    """Images must have a gradient."""
    name, item = "zero-gradients", "Input gradients are not zero."
    probe = evidence.probe
    text = (
        f"{percent(probe.zero_gradients)} % of {probe.n} images have an input gradient of exactly zero by the "
        f"cross-entropy, {percent(probe.zero_margin_gradients)} % by the margin of the logits."
    )
    many = max(probe.zero_gradients, probe.zero_margin_gradients) > _FEW_ZEROS
    if many:
        text += " Attacks by gradients cannot move those images."
    return Finding(name, item, Verdict.WARNING if many else Verdict.PASSED, text)


def more_iterations_help(evidence: Evidence) -> Finding:
    """More iterations must not make the attack weaker."""
    name, item = "iterations", "Accuracy does not rise with the number of iterations."
    points = evidence.by_iterations
    if len(points) < 2:
        return Finding(name, item, Verdict.NOT_MEASURED, "Measure the curves: leave --no-curves out.")
    climb, at = max((b[1] - a[1], b[0]) for a, b in itertools.pairwise(points))
    if climb > evidence.tolerance:
        text = f"PGM leaves {percent(climb)} points more after {at:g} iterations than before them."
        return Finding(name, item, Verdict.WARNING, text)
    return Finding(name, item, Verdict.PASSED, f"PGM was looked at after {len(points)} numbers of iterations.")


def losses_agree(evidence: Evidence) -> Finding:
    """An attack on the margin must not find much more than one on the cross-entropy."""
    name, item = "losses", "Attacks on the cross-entropy find what those on the margin of the logits find."
    ours = [one for one in evidence.iterative if one.attack.startswith("PGM-") and "+" not in one.attack]
    margin = [one for one in evidence.iterative if re.fullmatch(r"CW-\d+|APGD-(CW|T)-\d+", one.attack)]
    if not ours or not margin:
        return Finding(name, item, Verdict.NOT_MEASURED, "Attack with PGM-100 and CW-100.")
    one, other = (min(group, key=lambda m: m.robust) for group in (ours, margin))
    gap = one.robust - other.robust
    text = f"{one.words} on the cross-entropy, {other.words} on logits."
    return Finding(name, item, Verdict.WARNING if gap > GAP / 2 else Verdict.PASSED, text)


SIGNS = (pgm_and_auto_attack_agree, gradients_are_there, more_iterations_help, losses_agree)
"""All of them."""
