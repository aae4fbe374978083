"""Is the robustness real, or are only the gradients masked? What evaluations show of it, item by item, in words."""

from tasks.vision.masking.check import masking_check
from tasks.vision.masking.evidence import Evidence
from tasks.vision.masking.finding import Finding, Verdict
from tasks.vision.masking.probe import Probe, probe

__all__ = ["Evidence", "Finding", "Probe", "Verdict", "masking_check", "probe"]
