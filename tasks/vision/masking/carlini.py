"""The checklist of Carlini et al. (2019), as Jiang et al. answered it in the preprint's appendix E: fifteen items.

Some ask for judgement, which no program has; those are listed with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from tasks.vision.masking.athalye import everything_falls_to_everything
from tasks.vision.masking.evidence import ALL, GRADIENT, OUTPUTS, SURROGATE, Evidence, percent
from tasks.vision.masking.finding import Finding, Verdict
from tasks.vision.masking.signs import RUN_IT

Check: TypeAlias = Callable[[Evidence], Finding]

MANY_STEPS = 20
FALLING = 0.005


def _passed_if(
    condition: bool, name: str, item: str, good: str, bad: str, *, otherwise: Verdict = Verdict.WARNING
) -> Finding:
    return Finding(name, item, Verdict.PASSED if condition else otherwise, good if condition else bad)


def _always(name: str, item: str, verdict: Verdict, text: str) -> Check:
    """Return a check that does not depend on the evidence."""
    return lambda _evidence: Finding(name, item, verdict, text)


adaptive = _always(
    "carlini-2",
    "Adaptive attacks were made.",
    Verdict.NOT_DECIDABLE,
    "Whether an attack was adapted to this defence is for people to say; all attacks here are general ones.",
)
adaptive_is_best = _always(
    "carlini-8",
    "Adaptive attacks perform better than others.",
    Verdict.NOT_DECIDABLE,
    "It needs an adaptive attack, which no program can make for a defence that it does not know.",
)
described = _always(
    "carlini-9",
    "Attacks are described with their parameters.",
    Verdict.PASSED,
    "Radius, norm, steps, step and start of each attack are in its record.",
)
prior_work = _always(
    "carlini-15",
    "It is compared with prior work.",
    Verdict.NOT_DECIDABLE,
    "What is prior work, and whether the comparison is fair, is for people to say.",
)


def threat_model(evidence: Evidence) -> Finding:
    """The threat model is stated."""
    text = f"Pixels in [0, 1] change by at most ε = {evidence.eps:g} (l-inf); the classifier is known to the attacker."
    return Finding("carlini-1", "The threat model is stated.", Verdict.PASSED, text)


def clean_accuracy(evidence: Evidence) -> Finding:
    """The clean accuracy is reported."""
    text = f"{percent(evidence.clean)} % on {evidence.n} images."
    return Finding("carlini-3", "The accuracy on clean images is reported.", Verdict.PASSED, text)


def not_only_fgsm(evidence: Evidence) -> Finding:
    """Stronger attacks than FGSM are used."""
    strong = [one for one in evidence.measured if one.looks == ALL or (one.steps or 0) >= MANY_STEPS]
    good = f"{', '.join(one.attack for one in strong[:4])}."
    bad = f"No attack takes {MANY_STEPS} steps or more: attack with PGM-100."
    item = "Not only FGSM, but strong attacks are used."
    return _passed_if(bool(strong), "carlini-4", item, good, bad, otherwise=Verdict.NOT_MEASURED)


def not_only_the_training_s(evidence: Evidence) -> Finding:
    """Attacks are used that the classifier was not trained with."""
    others = [one for one in evidence.measured if not one.attack.startswith(("PGM", "FGSM", "own"))]
    good = f"Trained by {evidence.training or 'its own attack'}; attacked by {', '.join(o.attack for o in others[:4])}."
    bad = "Only sign-gradient and own attacks were used, as in training: attack with AutoAttack or CW-100."
    item = "Other attacks than those of the training are used."
    return _passed_if(bool(others), "carlini-5", item, good, bad, otherwise=Verdict.NOT_MEASURED)


def sanity(evidence: Evidence) -> Finding:
    """Basic sanity: unbounded attacks succeed."""
    found = everything_falls_to_everything(evidence)
    return Finding("carlini-6", "Basic sanity: an unbounded attack always succeeds.", found.verdict, found.text)


def budget_curve(evidence: Evidence) -> Finding:
    """Success against the budget is reported."""
    enough = len(evidence.by_radius) > 2
    text = f"Accuracy at {len(evidence.by_radius)} radii up to {evidence.by_radius[-1][0]:g}." if enough else ""
    verdict = Verdict.PASSED if enough else Verdict.NOT_MEASURED
    return Finding("carlini-7", "Success is shown against the budget ε.", verdict, text or "Measure the curves.")


def diverse(evidence: Evidence) -> Finding:
    """Attacks of several kinds are used, brute force among them."""
    brute, transfer = evidence.strongest(OUTPUTS, ALL), evidence.strongest(SURROGATE)
    kinds = [one.words for one in (evidence.strongest(GRADIENT), brute, transfer) if one]
    item = "Attacks are diverse: gradients, brute force, transfer."
    if len(kinds) == 3:
        return Finding("carlini-10", item, Verdict.PASSED, f"{', '.join(kinds)}.")
    missing = [] if brute else ["Random-1000 or Square-5000"]
    missing += [] if transfer else ["transfer (--surrogates)"]
    text = f"{', '.join(kinds) or 'Nothing'}; not run: {', '.join(missing) or 'an attack by gradients'}."
    return Finding("carlini-10", item, Verdict.NOT_MEASURED, text)


def not_random(evidence: Evidence) -> Finding:
    """Randomised defences are attacked over their randomness."""
    good = "Does not apply: two passes over the same images gave the same logits."
    bad = "Two passes over the same images gave different logits; these attacks do not average over the randomness."
    item = "A randomised defence is attacked over its randomness."
    return _passed_if(evidence.probe.repeats, "carlini-11", item, good, bad)


def differentiable(evidence: Evidence) -> Finding:
    """Non-differentiable parts are approximated."""
    zeros = evidence.probe.zero_margin_gradients
    good = f"{percent(zeros)} % of {evidence.probe.n} images have no gradient of the logits' margin."
    bad = f"{good} Something in the classifier is not differentiable, and no attack here replaces it."
    return _passed_if(zeros < 0.5, "carlini-12", "Non-differentiable parts are replaced in the attack.", good, bad)


def converged(evidence: Evidence) -> Finding:
    """Attacks have converged."""
    points = evidence.by_iterations
    item = "Attacks have converged: more iterations change little."
    if len(points) < 2:
        return Finding("carlini-13", item, Verdict.NOT_MEASURED, "Measure the curves: leave --no-curves out.")
    (before, higher), (last, lower) = points[-2:]
    good = f"PGM takes {percent(higher - lower)} points from {before:g} to {last:g} iterations."
    fine = higher - lower <= max(FALLING, evidence.tolerance)
    return _passed_if(fine, "carlini-13", item, good, f"{good} More would show less robustness.")


def hyperparameters(evidence: Evidence) -> Finding:
    """Hyperparameters of attacks are looked into."""
    settings = {(one.step_size, one.start) for one in evidence.iterative}
    item = "Hyperparameters of attacks were varied."
    if evidence.strongest(ALL) or len(settings) > 1:
        text = f"{len(settings)} combinations of step and start" + (
            ", and AutoAttack, which sets its own." if evidence.strongest(ALL) else "."
        )
        return Finding("carlini-14", item, Verdict.PASSED, text)
    return Finding("carlini-14", item, Verdict.NOT_MEASURED, f"One step and start only. {RUN_IT}.")


CARLINI = (
    threat_model, adaptive, clean_accuracy, not_only_fgsm, not_only_the_training_s, sanity, budget_curve,
    adaptive_is_best, described, diverse, not_random, differentiable, converged, hyperparameters, prior_work,
)  # fmt: skip
"""The fifteen, in the order of the preprint."""
