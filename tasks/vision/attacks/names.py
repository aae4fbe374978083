"""Attacks by their names, for the command line."""

from __future__ import annotations

import re
from collections.abc import Callable

from bilevel.errors import ConfigurationError
from tasks.vision.attacks.apgd import APGD
from tasks.vision.attacks.auto_attack import AutoAttack
from tasks.vision.attacks.base import Attack
from tasks.vision.attacks.losses import Margin
from tasks.vision.attacks.presets import STARTS, cw, fgsm, pgm
from tasks.vision.attacks.random_search import Random
from tasks.vision.attacks.square import Square
from tasks.vision.attacks.targeted_apgd import TargetedAPGD
from tasks.vision.attacks.tau_search import TauSearch
from tasks.vision.attacks.worst import Worst

_PLAIN: dict[str, Callable[[float], Attack]] = {"fgsm": fgsm, "autoattack": AutoAttack}

_COUNTED: dict[str, Callable[[float, int], Attack]] = {
    "pgm": pgm,
    "cw": cw,
    "cw-search": TauSearch,
    "apgd-ce": APGD,
    "apgd-cw": lambda eps, steps: APGD(eps, steps, Margin()),
    "apgd-t": TargetedAPGD,
    "square": Square,
    "random": Random,
}


def named(name: str, eps: float) -> Attack:
    """Return the attack that ``name`` asks for, as a command line does.

    Args:
        name: "FGSM", "PGM-20" ("PGM-20:zero" for another start), "CW-100", "CW-search-50", "APGD-CE-100",
            "APGD-CW-100", "APGD-T-100", "Square-5000", "Random-1000" with any number, "AutoAttack", or several joined
            by "+" for the worst of them; capitals do not matter.
        eps: the radius, for pixels in [0, 1].

    Raises:
        ConfigurationError: for a name that is none of these, or an attack whose extra is not installed.

    Examples:
        >>> named("pgm-100+cw-100", 0.2).name
        'PGM-100 + CW-100'
    """
    parts = [_one(part.strip(), eps) for part in name.split("+")]
    return parts[0] if len(parts) == 1 else Worst(*parts)


def _one(name: str, eps: float) -> Attack:
    if (plain := _PLAIN.get(name.lower())) is not None:
        return plain(eps)
    match = re.fullmatch(r"([a-z-]+)-(\d+)(?::([a-z]+))?", name.lower())
    kind, start = (match[1], match[3]) if match else ("", None)
    if match is None or kind not in _COUNTED or (start is not None and (kind != "pgm" or start not in STARTS)):
        raise ConfigurationError(
            f"There is no attack {name!r}. Known are FGSM, PGM-<steps>, CW-<steps>, CW-search-<iterations>, "
            "APGD-CE-<steps>, APGD-CW-<steps>, APGD-T-<steps>, Square-<queries>, Random-<draws> and AutoAttack, such "
            f"as PGM-20. PGM-20:<start> begins elsewhere: {', '.join(STARTS)}. Several joined by +, such as "
            "PGM-100+CW-100, stand for the worst of them."
        )
    count = int(match[2])
    return _COUNTED[kind](eps, count) if start is None else pgm(eps, count, start=start)
