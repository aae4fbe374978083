"""What a reader should notice, in words, computed from the numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from tasks.report.estimate import Estimate, combine
from tasks.report.fewer_images import fewer_images
from tasks.report.frontier import Verdict, compare
from tasks.report.methods import Method, Setting, frontier_of
from tasks.report.upper_bounds import upper_bounds, without_auto_attack

_MASKED = 0.05  # a gap between attacks from which it is pointed out


@final
@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence or two for the reader.

    Attributes:
        text: plain text.
        caution: whether it limits what the numbers may be taken to show.
    """

    text: str
    caution: bool = False


def notices(setting: Setting) -> list[Notice]:
    """Say what the numbers of one setting show, and what they do not."""
    return [
        *_most_robust(setting),
        *_upper_bounds(setting),
        *_against_frontier(setting),
        *_uneven(setting),
        *_masking(setting),
        *_seeds(setting),
    ]


def percent(accuracy: float) -> str:
    """Return an accuracy as a percentage with one decimal."""
    return f"{100 * accuracy:.1f}"


def plus_minus(estimate: Estimate) -> str:
    """Return the mean with its standard error, in per cent."""
    error = "" if estimate.stderr is None else f" ± {percent(estimate.stderr)}"
    return f"{percent(estimate.mean)}{error} %"


def _most_robust(setting: Setting) -> list[Notice]:
    best, *others = setting.comparable or setting.methods
    text = f"{best.name} is the most robust: {plus_minus(best.strongest)} under its strongest attack"
    text += f" ({best.strongest_attack})" + (f", {plus_minus(best.clean)} clean." if best.clean else ".")
    if not others:
        return [Notice(text.replace("is the most robust:", "reaches"))]
    close = [method.name for method in others if not _apart(best.strongest, method.strongest)]
    if close:
        text += f" {enumerated(close)} {'is' if len(close) == 1 else 'are'} within two standard errors of it."
    else:
        gap = best.strongest.mean - others[0].strongest.mean
        text += f" The next, {others[0].name}, is {percent(gap)} points below it, more than two standard errors."
    return [Notice(text)]


def _apart(one: Estimate, other: Estimate) -> bool:
    error = combine((1.0, 1.0), (one.stderr, other.stderr))
    return error is not None and abs(one.mean - other.mean) > 2 * error


def _against_frontier(setting: Setting) -> list[Notice]:
    frontier, learned = frontier_of(setting)
    if not frontier.corners or not learned:
        return []
    verdicts = compare(list(learned.values()), frontier)
    above = [verdict for verdict in verdicts if verdict.clear and verdict.margin > 0]
    level = [verdict for verdict in verdicts if not verdict.clear]
    below = [verdict for verdict in verdicts if verdict.clear and verdict.margin <= 0]
    result = [
        Notice(
            f"{verdict.name} lies {percent(verdict.margin)} points (standard error {_error(verdict)}) above the "
            "frontier of the hand-written methods at its own training time."
        )
        for verdict in above
    ]
    if verdicts and not above:
        result.append(Notice("No learned method lies above the frontier of the hand-written ones by more than two "
                             "standard errors at its own training time."))  # fmt: skip
    if level:
        result.append(
            Notice(f"Not distinguishable from the frontier: {enumerated([_margin(verdict) for verdict in level])}.")
        )
    if below:
        result.append(Notice(f"Below the frontier: {enumerated([_margin(verdict) for verdict in below])}."))
    faster = [name for name in learned if name not in {verdict.name for verdict in verdicts}]
    if faster:
        text = (
            f"{enumerated(faster)} trained faster than every hand-written method, so there is nothing to compare with."
        )
        result.append(Notice(text, True))
    return result


def _margin(verdict: Verdict) -> str:
    sign = "+" if verdict.margin > 0 else "−"
    return f"{verdict.name} ({sign}{percent(abs(verdict.margin))} points, standard error {_error(verdict)})"


def _error(verdict: Verdict) -> str:
    return "unknown" if verdict.stderr is None else percent(verdict.stderr)


def _uneven(setting: Setting) -> list[Notice]:
    result = [
        Notice(f"{name} did not meet {enumerated(attacks)}, so its accuracy flatters it and it is not compared.", True)
        for name, attacks in setting.spared.items()
    ]
    result += [Notice(text, True) for text in fewer_images(setting)]
    partial = [method for method in setting.methods if method.left_out]
    if partial:
        seeds = "; ".join(f"{m.name}: {enumerated([str(seed) for seed in m.left_out])}" for m in partial)
        result.append(
            Notice(f"Seeds that met fewer attacks are left out of the strongest-attack column ({seeds}).", True)
        )
    return result


def _upper_bounds(setting: Setting) -> list[Notice]:
    missing = without_auto_attack(setting)
    return [Notice(upper_bounds(missing, named=len(missing) < len(setting.methods)), True)] if missing else []


def _masking(setting: Setting) -> list[Notice]:
    """Look for the signs of gradient masking that a table of attacks can show (Athalye et al. 2018)."""
    result = _cross_entropy_fails(setting.methods)
    for method in setting.methods:
        result += _random_wins(method)
        if method.clean and method.strongest.mean > method.clean.mean + 1e-9:
            result.append(Notice(f"{method.name} is more accurate under attack than without: check the attack.", True))
    return result


def _random_wins(method: Method) -> list[Notice]:
    gradient = [e for name, e in method.attacks.items() if "random" not in name.lower()]
    if not gradient:
        return []
    best = min(gradient, key=lambda e: e.mean)
    stronger = [
        name
        for name, e in method.attacks.items()
        if "random" in name.lower() and e.mean < best.mean and _apart(e, best)
    ]
    text = f"{method.name} falls further to {enumerated(stronger)} than to any attack by gradients"
    return [Notice(f"{text}: a sign of gradient masking.", True)] if stronger else []


def _cross_entropy_fails(methods: Sequence[Method]) -> list[Notice]:
    """Say which attacks take much more from which methods than sign-gradient attacks do, an attack a sentence."""
    falls: dict[str, list[tuple[float, str]]] = {}
    for method in methods:
        # "PGM-100 + CW-100" is the worst of two: it is one of the others.
        sign = {
            name: e
            for name, e in method.attacks.items()
            if re.fullmatch(r"(PGM|PGD|FGSM)[-\d\s]*(:\w+)?", name.upper())
        }
        others = {name: e for name, e in method.attacks.items() if name not in sign}
        if not sign or not others:
            continue
        name = min(others, key=lambda attack: others[attack].mean)
        fall = min(e.mean for e in sign.values()) - others[name].mean
        if fall > max(_MASKED, 2 * (others[name].stderr or 0)):
            falls.setdefault(name, []).append((fall, method.name))
    result = []
    for attack, found in falls.items():
        least, most = percent(min(found)[0]), percent(max(found)[0])
        points = least if least == most else f"{least} to {most}"
        text = f"{attack} takes {points} points more from {enumerated([name for _, name in found])}"
        result.append(
            Notice(f"{text} than any sign-gradient attack: accuracy under those attacks flatters the method.", True)
        )
    return result


def _seeds(setting: Setting) -> list[Notice]:
    single = [method for method in setting.methods if len(method.seeds) == 1]
    if not single:
        return []
    if len(single) == len(setting.methods):
        text = "Each method was trained with one seed: the standard errors cover the choice of images, not of the seed."
        return [Notice(text, True)]
    return [Notice(f"One seed only: {enumerated([method.name for method in single])}.", True)]


def enumerated(names: Sequence[str]) -> str:
    """Join names as a sentence does."""
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)
