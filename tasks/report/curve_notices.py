"""What a reader should notice in the curves."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.report.lines import EPS, ITERATIONS, Line, Panel
from tasks.report.notices import Notice, enumerated, percent

_FALLING = 0.005  # a last step that takes more than half a point says that more steps would take more
_RISING = 0.01
_ZERO = 0.02


def curve_notices(panels: Sequence[Panel]) -> list[Notice]:
    """Say whether more iterations would still tell, and whether accuracy vanishes as ε grows."""
    found = []
    for panel in panels:
        if panel.curve == ITERATIONS:
            found += _iterations(panel)
        elif panel.curve == EPS:
            found += _radius(panel)
    return found


def _iterations(panel: Panel) -> list[Notice]:
    falling = [(line, line.mean[-2] - line.mean[-1]) for line in panel.lines if len(line.x) > 1]
    steep = [(line, fall) for line, fall in falling if fall > _FALLING]
    if steep:
        said = enumerated([_fall(line, fall) for line, fall in steep])
        text = f"Still falling at the last point of the curve over iterations ({panel.attack}): {said}."
        return [Notice(f"{text} More iterations would show less robustness.", True)]
    if not falling:
        return []
    most = max(line.x[-1] for line, _ in falling)
    return [Notice(f"The curves over iterations ({panel.attack}) are level at {most:g} iterations.")]


def _fall(line: Line, fall: float) -> str:
    return f"{line.method} (−{percent(fall)} points from {line.x[-2]:g} to {line.x[-1]:g})"


def _radius(panel: Panel) -> list[Notice]:
    found = []
    rising = [line.method for line in panel.lines if _climb(line) > _RISING]
    if rising:
        text = f"Accuracy rises with ε somewhere on the curve of {enumerated(rising)} ({panel.attack})"
        found.append(Notice(f"{text}: a larger ball cannot help a classifier, so the attack fails there.", True))
    left = [(line, line.mean[-1]) for line in panel.lines if line.mean[-1] > _ZERO]
    if left:
        said = enumerated([f"{line.method} ({percent(value)} % at ε = {line.x[-1]:g})" for line, value in left])
        text = f"Not down to zero at the largest ε ({panel.attack}): {said}."
        found.append(Notice(f"{text} If that ε can hide any image, it is a sign of gradient masking.", True))
    elif panel.lines:
        found.append(Notice(f"Accuracy goes to zero as ε grows ({panel.attack}), as it must for an attack that works."))
    return found


def _climb(line: Line) -> float:
    return max((after - before for before, after in zip(line.mean, line.mean[1:], strict=False)), default=0.0)
