"""The five behaviours by which Athalye, Carlini and Wagner (2018, section 3.1) recognise masked gradients."""

from __future__ import annotations

import itertools

from tasks.vision.masking.evidence import ALL, GRADIENT, OUTPUTS, SURROGATE, Evidence, percent
from tasks.vision.masking.finding import Finding, Verdict

ZERO = 0.02
"""The accuracy up to which an attack over the whole pixel range counts as successful throughout."""


def iterations_help(evidence: Evidence) -> Finding:
    """Iterative attacks must be at least as strong as one-step attacks."""
    name, item = "athalye-1", "Iterative attacks are at least as strong as one-step attacks."
    single = [one for one in evidence.all_that(GRADIENT) if one.steps == 1]
    several = evidence.iterative
    if single and several:
        one, best = (min(group, key=lambda m: m.robust) for group in (single, several))
        worse = one.robust < best.robust - evidence.tolerance
        text = f"{one.words} takes one step, {best.words} several."
        return Finding(name, item, Verdict.WARNING if worse else Verdict.PASSED, text)
    marks = dict(evidence.by_iterations)
    if 1.0 in marks and len(marks) > 1:
        most = max(marks)
        worse = marks[1.0] < marks[most] - evidence.tolerance
        text = f"PGM leaves {percent(marks[1.0])} % after 1 step and {percent(marks[most])} % after {most:g}."
        return Finding(name, item, Verdict.WARNING if worse else Verdict.PASSED, text)
    return Finding(name, item, Verdict.NOT_MEASURED, "Attack with FGSM and PGM-20, or measure the curves.")


def white_box_is_stronger(evidence: Evidence) -> Finding:
    """White-box attacks must be at least as strong as black-box attacks."""
    name, item = "athalye-2", "Attacks by gradients are at least as strong as black-box attacks."
    white, black = evidence.strongest(GRADIENT), evidence.strongest(OUTPUTS, SURROGATE)
    if white is None or black is None:
        missing = (
            "an attack by gradients (PGM-20)" if white is None else "a black-box attack (Square-5000, --surrogates)"
        )
        return Finding(name, item, Verdict.NOT_MEASURED, f"It needs {missing} too.")
    worse = black.robust < white.robust - evidence.tolerance
    text = f"The strongest attack by gradients is {white.words}, the strongest black-box attack {black.words}."
    return Finding(name, item, Verdict.WARNING if worse else Verdict.PASSED, text)


def everything_falls_to_everything(evidence: Evidence) -> Finding:
    """Within the whole pixel range every image must fall."""
    name, item = "athalye-3", "With ε = 1, where any image may become any other, accuracy goes to 0."
    last = evidence.by_radius[-1] if evidence.by_radius else None
    if last is None or last[0] < 1:
        return Finding(name, item, Verdict.NOT_MEASURED, "Measure the curves: leave --no-curves out.")
    text = f"PGM leaves {percent(last[1])} % at ε = 1."
    return Finding(name, item, Verdict.WARNING if last[1] > ZERO else Verdict.PASSED, text)


def random_finds_nothing_more(evidence: Evidence) -> Finding:
    """Random sampling must not find what attacks by gradients do not."""
    name, item = "athalye-4", "Random sampling finds nothing that attacks by gradients do not."
    random = [one for one in evidence.all_that(OUTPUTS) if one.attack.startswith("Random")]
    white = evidence.strongest(GRADIENT, ALL)
    if not random or white is None:
        return Finding(name, item, Verdict.NOT_MEASURED, "Attack with Random-1000 and PGM-20.")
    best = min(random, key=lambda one: one.robust)
    worse = best.robust < white.robust - evidence.tolerance
    text = f"{best.words} against {white.words}."
    return Finding(name, item, Verdict.WARNING if worse else Verdict.PASSED, text)


def larger_balls_help(evidence: Evidence) -> Finding:
    """A larger ball must not make the attack weaker."""
    name, item = "athalye-5", "Accuracy never rises with ε."
    points = [(0.0, evidence.clean), *evidence.by_radius] if evidence.by_radius else []
    if len(points) < 2:
        return Finding(name, item, Verdict.NOT_MEASURED, "Measure the curves: leave --no-curves out.")
    # The clean accuracy is of all images, the points may be of a few.
    steps = list(itertools.pairwise(points[1:]))
    climb, at = max(((b[1] - a[1], b[0]) for a, b in steps), default=(0.0, 0.0))
    if climb > evidence.tolerance:
        text = f"PGM leaves {percent(climb)} points more at ε = {at:g} than at the radius before it."
        return Finding(name, item, Verdict.WARNING, text)
    return Finding(name, item, Verdict.PASSED, f"PGM was measured at {len(points) - 1} radii.")


ATHALYE = (
    iterations_help,
    white_box_is_stronger,
    everything_falls_to_everything,
    random_finds_nothing_more,
    larger_balls_help,
)
"""The five, in the order of the paper."""
