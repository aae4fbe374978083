"""What is said of accuracies that were measured on different images."""

from __future__ import annotations

from tasks.report.methods import Setting


def fewer_images(setting: Setting) -> list[str]:
    """Return a sentence for each method some of whose attacks were made on fewer images than others."""
    said = []
    for method in setting.methods:
        counts = {name: min((n for n in e.counts if n), default=None) for name, e in method.attacks.items()}
        most = max((n for n in counts.values() if n), default=0)
        fewer = [f"{name} ({n})" for name, n in counts.items() if n and n < most]
        if fewer:
            said.append(
                f"{method.name} met {', '.join(fewer)} on fewer images than the {most} of its other attacks: those "
                "accuracies cannot be compared with the others, nor be the strongest attack's."
            )
    return said
