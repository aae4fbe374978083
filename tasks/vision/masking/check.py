"""The whole masking check."""

from __future__ import annotations

from tasks.vision.masking.athalye import ATHALYE
from tasks.vision.masking.carlini import CARLINI
from tasks.vision.masking.evidence import Evidence
from tasks.vision.masking.finding import Finding, worst_first
from tasks.vision.masking.signs import SIGNS


def masking_check(evidence: Evidence) -> list[Finding]:
    """Return what the evidence says about every item of both checklists and the further signs, the worst first.

    Nothing is attacked here: what was not measured is said to be so, with the command that measures it.

    Args:
        evidence: the accuracies of one classifier within one ball.

    Source: Athalye, Carlini and Wagner 2018, section 3.1; Carlini et al. 2019; both as Jiang et al. 2020 (preprint),
    appendix E, answer them.
    """
    return worst_first([check(evidence) for check in (*SIGNS, *ATHALYE, *CARLINI)])
